/// The square of a QR code: its fixed patterns, then the data in between. ISO/IEC 18004 §6.3, §7.7–7.10.
struct QRMatrix {
    let size: Int
    private(set) var modules: [Bool]
    /// What is no data and is not masked.
    private var isFixed: [Bool]

    init(_ version: QRVersion, _ words: [UInt8]) {
        size = version.size
        modules = Array(repeating: false, count: size * size)
        isFixed = modules
        for index in 0..<size {
            fix(6, index, index % 2 == 0)
            fix(index, 6, index % 2 == 0)
        }
        for (x, y) in [(3, 3), (size - 4, 3), (3, size - 4)] { finder(x, y) }
        let (first, last) = (version.alignment.first, version.alignment.last)
        for x in version.alignment {
            for y in version.alignment {
                // Where a finder is there is room for nothing else.
                if x == first && (y == first || y == last) || x == last && y == first { continue }
                align(x, y)
            }
        }
        // Reserved now, written by `masked`.
        format(0)
        if version.number >= 7 { self.version(version.number) }
        place(words)
    }

    private mutating func fix(_ x: Int, _ y: Int, _ isDark: Bool) {
        guard (0..<size).contains(x), (0..<size).contains(y) else { return }
        modules[y * size + x] = isDark
        isFixed[y * size + x] = true
    }

    private mutating func finder(_ x: Int, _ y: Int) {
        for dx in -4...4 {
            for dy in -4...4 {
                let ring = max(abs(dx), abs(dy))
                fix(x + dx, y + dy, ring != 2 && ring != 4)
            }
        }
    }

    private mutating func align(_ x: Int, _ y: Int) {
        for dx in -2...2 {
            for dy in -2...2 { fix(x + dx, y + dy, max(abs(dx), abs(dy)) != 1) }
        }
    }

    /// Error correction M and the mask, twice, behind a BCH code. §7.9.
    private mutating func format(_ mask: Int) {
        var rest = mask
        for _ in 0..<10 { rest = rest << 1 ^ (rest >> 9) * 0x537 }
        let bits = (mask << 10 | rest) ^ 0x5412
        func bit(_ index: Int) -> Bool { bits >> index & 1 == 1 }
        for index in 0..<6 { fix(8, index, bit(index)) }
        fix(8, 7, bit(6))
        fix(8, 8, bit(7))
        fix(7, 8, bit(8))
        for index in 9..<15 { fix(14 - index, 8, bit(index)) }
        for index in 0..<8 { fix(size - 1 - index, 8, bit(index)) }
        for index in 8..<15 { fix(8, size - 15 + index, bit(index)) }
        fix(8, size - 8, true)
    }

    /// The version, twice, behind a BCH code. §7.10.
    private mutating func version(_ number: Int) {
        var rest = number
        for _ in 0..<12 { rest = rest << 1 ^ (rest >> 11) * 0x1F25 }
        let bits = number << 12 | rest
        for index in 0..<18 {
            let isDark = bits >> index & 1 == 1
            fix(size - 11 + index % 3, index / 3, isDark)
            fix(index / 3, size - 11 + index % 3, isDark)
        }
    }

    /// Two columns at a time from the right, upwards and downwards in turn; column 6 is the timing's.
    private mutating func place(_ words: [UInt8]) {
        var index = 0
        var isUpward = true
        var right = size - 1
        while right > 0 {
            if right == 6 { right -= 1 }
            for step in 0..<size {
                let y = isUpward ? size - 1 - step : step
                for x in [right, right - 1] where !isFixed[y * size + x] {
                    // Behind the last word are a few bits of nothing.
                    if index < words.count * 8 {
                        modules[y * size + x] = words[index / 8] >> UInt8(7 - index % 8) & 1 == 1
                    }
                    index += 1
                }
            }
            isUpward.toggle()
            right -= 2
        }
    }

    /// §7.8.2.
    func masked(_ mask: Int) -> QRMatrix {
        var copy = self
        for y in 0..<size {
            for x in 0..<size where !isFixed[y * size + x] {
                let isTurned =
                    switch mask {
                    case 0: (x + y) % 2 == 0
                    case 1: y % 2 == 0
                    case 2: x % 3 == 0
                    case 3: (x + y) % 3 == 0
                    case 4: (y / 2 + x / 3) % 2 == 0
                    case 5: x * y % 2 + x * y % 3 == 0
                    case 6: (x * y % 2 + x * y % 3) % 2 == 0
                    default: ((x + y) % 2 + x * y % 3) % 2 == 0
                    }
                if isTurned { copy.modules[y * size + x].toggle() }
            }
        }
        copy.format(mask)
        return copy
    }

    // MARK: How hard it is to read

    /// §7.8.3: long runs, blocks, what looks like a finder, and more of one colour.
    var penalty: Int {
        var sum = 0
        for line in 0..<size {
            sum += penalty((0..<size).map { modules[line * size + $0] })
            sum += penalty((0..<size).map { modules[$0 * size + line] })
        }
        for y in 0..<size - 1 {
            for x in 0..<size - 1 {
                let one = modules[y * size + x]
                if modules[y * size + x + 1] == one, modules[(y + 1) * size + x] == one,
                    modules[(y + 1) * size + x + 1] == one
                {
                    sum += 3
                }
            }
        }
        let dark = modules.count { $0 }
        return sum + abs(dark * 20 - size * size * 10) / (size * size) * 10
    }

    private static let finders: [[Bool]] = ["10111010000", "00001011101"].map { text in
        text.map { $0 == "1" }
    }

    private func penalty(_ line: [Bool]) -> Int {
        var sum = 0
        var run = 0
        for index in line.indices {
            run = index > 0 && line[index] == line[index - 1] ? run + 1 : 1
            if run == 5 { sum += 3 } else if run > 5 { sum += 1 }
        }
        for start in 0...(size - 11)
        where Self.finders.contains(where: { $0.elementsEqual(line[start..<start + 11]) }) {
            sum += 40
        }
        return sum
    }
}
