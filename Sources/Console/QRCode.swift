/// A QR code of a short text, for a screen or a sticker. ISO/IEC 18004, bytes, error correction M.
///
/// Our own 250 lines and not libqrencode: a text of two hundred bytes is all we ever show, and what
/// builds the server needs no package more for it. The tests read it with a reader that is not ours.
package struct QRCode: Hashable, Sendable {
    /// Modules a side, the quiet zone not counted.
    package let size: Int
    /// Which of the eight masks was taken.
    package let mask: Int
    /// Row by row from the top left; true is dark.
    private let modules: [Bool]

    /// Light modules all around that a reader needs.
    package static let quiet = 4

    /// nil for a text that is too long: above 412 bytes.
    package init?(_ text: String) {
        guard let version = QRVersion.holding(byteCount: text.utf8.count) else { return nil }
        let words = version.codewords(of: Array(text.utf8))
        var best: (matrix: QRMatrix, penalty: Int, mask: Int)?
        let blank = QRMatrix(version, words)
        for mask in 0..<8 {
            let matrix = blank.masked(mask)
            let penalty = matrix.penalty
            if best.map({ penalty < $0.penalty }) ?? true { best = (matrix, penalty, mask) }
        }
        guard let best else { return nil }
        size = best.matrix.size
        mask = best.mask
        modules = best.matrix.modules
    }

    /// Dark or not; what lies outside is light.
    package func isDark(_ x: Int, _ y: Int) -> Bool {
        (0..<size).contains(x) && (0..<size).contains(y) && modules[y * size + x]
    }

    /// For a terminal: two rows a line, light modules drawn, dark ones left out, as terminals are dark.
    ///
    /// - Parameter isColoured: says both colours, so that it is right on a light terminal too.
    package func text(isColoured: Bool) -> String {
        let (from, to) = (-Self.quiet / 2, size + Self.quiet / 2)
        return stride(from: from, to: to, by: 2).map { y in
            let line = (from..<to).map { x in
                switch (isDark(x, y), isDark(x, y + 1) && y + 1 < to) {
                case (false, false): "█"
                case (false, true): "▀"
                case (true, false): "▄"
                case (true, true): " "
                }
            }.joined()
            return isColoured ? "\u{1B}[40;97m\(line)\u{1B}[0m" : line
        }.joined(separator: "\n")
    }

    /// The dark modules as the `d` of one SVG path, in a box of `size` and the quiet zone on each side.
    package var path: String {
        var path = ""
        for y in 0..<size {
            var x = 0
            while x < size {
                guard isDark(x, y) else {
                    x += 1
                    continue
                }
                let start = x
                while isDark(x, y) { x += 1 }
                path += "M\(start + Self.quiet) \(y + Self.quiet)h\(x - start)v1h-\(x - start)z"
            }
        }
        return path
    }

    package var svg: String {
        let side = size + 2 * Self.quiet
        return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(side) \(side)\" "
            + "shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h\(side)v\(side)h-\(side)z\"/>"
            + "<path d=\"\(path)\"/></svg>\n"
    }
}

/// How many codewords a size of code has and how they are dealt out. ISO/IEC 18004 tables 7, 9 and E.1.
struct QRVersion: Hashable, Sendable {
    let number: Int
    /// Error correction codewords of each block.
    let correction: Int
    /// Data codewords of the blocks, shorter ones first.
    let blocks: [Int]
    /// Where alignment patterns have their centres, in both directions.
    let alignment: [Int]

    private init(_ number: Int, _ correction: Int, _ blocks: [(Int, Int)], _ alignment: [Int]) {
        self.number = number
        self.correction = correction
        self.blocks = blocks.flatMap { Array(repeating: $0.1, count: $0.0) }
        self.alignment = alignment
    }

    static let all = [
        QRVersion(1, 10, [(1, 16)], []),
        QRVersion(2, 16, [(1, 28)], [6, 18]),
        QRVersion(3, 26, [(1, 44)], [6, 22]),
        QRVersion(4, 18, [(2, 32)], [6, 26]),
        QRVersion(5, 24, [(2, 43)], [6, 30]),
        QRVersion(6, 16, [(4, 27)], [6, 34]),
        QRVersion(7, 18, [(4, 31)], [6, 22, 38]),
        QRVersion(8, 22, [(2, 38), (2, 39)], [6, 24, 42]),
        QRVersion(9, 22, [(3, 36), (2, 37)], [6, 26, 46]),
        QRVersion(10, 26, [(4, 43), (1, 44)], [6, 28, 50]),
        QRVersion(11, 30, [(1, 50), (4, 51)], [6, 30, 54]),
        QRVersion(12, 22, [(6, 36), (2, 37)], [6, 32, 58]),
        QRVersion(13, 22, [(8, 37), (1, 38)], [6, 34, 62]),
        QRVersion(14, 24, [(4, 40), (5, 41)], [6, 26, 46, 66]),
        QRVersion(15, 24, [(5, 41), (5, 42)], [6, 26, 48, 70]),
    ]

    static func holding(byteCount: Int) -> QRVersion? {
        all.first { byteCount <= $0.dataWords - $0.headBits / 8 - 1 }
    }

    var size: Int { 17 + 4 * number }
    private var dataWords: Int { blocks.reduce(0, +) }
    /// Mode and length, rounded down to bytes: the half byte left over holds the terminator.
    private var headBits: Int { number < 10 ? 12 : 20 }

    /// Data and correction, interleaved as they are placed.
    func codewords(of bytes: [UInt8]) -> [UInt8] {
        var bits = QRBits()
        bits.append(0b0100, count: 4)
        bits.append(bytes.count, count: number < 10 ? 8 : 16)
        for byte in bytes { bits.append(Int(byte), count: 8) }
        bits.append(0, count: 4)
        var data = bits.bytes
        var filler: UInt8 = 0xEC
        while data.count < dataWords {
            data.append(filler)
            filler ^= 0xEC ^ 0x11
        }
        var rest = data[...]
        let parts = blocks.map { count in
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        let checks = parts.map { QRField.remainder(of: $0, count: correction) }
        var words: [UInt8] = []
        for index in 0..<(blocks.max() ?? 0) {
            for part in parts where index < part.count { words.append(part[index]) }
        }
        for index in 0..<correction { words += checks.map { $0[index] } }
        return words
    }
}

/// Bits, most significant first.
private struct QRBits {
    private var bits: [Bool] = []

    mutating func append(_ value: Int, count: Int) {
        for shift in (0..<count).reversed() { bits.append(value >> shift & 1 == 1) }
    }

    /// The last byte is filled up with zeros.
    var bytes: [UInt8] {
        stride(from: 0, to: bits.count, by: 8).map { start in
            (0..<8).reduce(0) { byte, offset in
                let index = start + offset
                return byte << 1 | (index < bits.count && bits[index] ? 1 : 0)
            }
        }
    }
}

/// Arithmetic of the field of 256 elements over x⁸ + x⁴ + x³ + x² + 1. ISO/IEC 18004 §7.5.2.
enum QRField {
    static func product(_ a: UInt8, _ b: UInt8) -> UInt8 {
        var (left, right, sum) = (UInt16(a), UInt16(b), UInt16(0))
        while right > 0 {
            if right & 1 == 1 { sum ^= left }
            left <<= 1
            if left & 0x100 != 0 { left ^= 0x11D }
            right >>= 1
        }
        return UInt8(sum)
    }

    /// Reed–Solomon check words: what is left of the data by the polynomial whose roots are 2⁰ … 2ⁿ⁻¹.
    static func remainder(of data: [UInt8], count: Int) -> [UInt8] {
        var divisor: [UInt8] = [1]
        var root: UInt8 = 1
        for _ in 0..<count {
            var next = divisor + [0]
            for (index, factor) in divisor.enumerated() { next[index + 1] ^= product(factor, root) }
            divisor = next
            root = product(root, 2)
        }
        var rest = [UInt8](repeating: 0, count: count)
        for byte in data {
            let lead = byte ^ rest.removeFirst()
            rest.append(0)
            for index in 0..<count { rest[index] ^= product(divisor[index + 1], lead) }
        }
        return rest
    }
}
