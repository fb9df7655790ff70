import Charging
import JSON
import TestSupport
import Testing

/// A random value whose numbers are decimals.
private func randomValue(_ rng: inout SeededGenerator, depth: Int = 0) -> JSONValue {
    switch Int.random(in: 0..<(depth > 5 ? 5 : 7), using: &rng) {
    case 0: return nil
    case 1: return .bool(.random(using: &rng))
    case 2: return .number(Int64.random(in: .min ... .max, using: &rng))
    case 3:
        let significand = Int128(Int64.random(in: -1_000_000...1_000_000, using: &rng))
        return .number(Decimal(significand: significand, scale: .random(in: 0...9, using: &rng)))
    case 4: return .string(randomText(&rng))
    case 5:
        let count = Int.random(in: 0...4, using: &rng)
        return .array((0..<count).map { _ in randomValue(&rng, depth: depth + 1) })
    default:
        var members: [String: JSONValue] = [:]
        for _ in 0..<Int.random(in: 0...4, using: &rng) {
            members[randomText(&rng)] = randomValue(&rng, depth: depth + 1)
        }
        return .object(members)
    }
}

private func randomText(_ rng: inout SeededGenerator) -> String {
    let ranges: [ClosedRange<UInt32>] = [
        0x01...0x1F, 0x20...0x7E, 0x20...0x7E, 0x80...0x7FF, 0x800...0xD7FF, 0xE000...0xFFFF,
        0x10000...0x10FFFF,
    ]
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...8, using: &rng) {
        let range = ranges[Int.random(in: 0..<ranges.count, using: &rng)]
        if let scalar = Unicode.Scalar(.random(in: range, using: &rng)) { text.append(scalar) }
    }
    return String(text)
}

@Suite struct `Any JSON` {
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `comes back the same after writing and reading`(seed: UInt64) throws {
        var rng = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let value = randomValue(&rng)
            let bytes = value.encoded()
            let again = try JSONValue(parsing: bytes)
            #expect(again == value)
            #expect(again.encoded() == bytes)
            #expect(try JSONCoder.encode(JSONCoder.decode(JSONValue.self, from: bytes)) == bytes)
        }
    }

    /// Every mutant is either refused with an offset inside the text, or JSON that comes back.
    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func `that was damaged is refused or still JSON`(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        for _ in 0..<1_000 {
            let bytes = damaged(randomValue(&rng).encoded(), &rng)
            do throws(JSONError) {
                let value = try JSONValue(parsing: bytes)
                let again = try? JSONValue(parsing: value.encoded())
                #expect(again == value)
                #expect(isSkipped(bytes))
            } catch {
                #expect((0...bytes.count).contains(error.offset))
                #expect(error.path.hasPrefix("$"))
            }
        }
    }

    private func damaged(_ original: [UInt8], _ rng: inout SeededGenerator) -> [UInt8] {
        var bytes = original
        let marks = Array("\"\\{}[],:-eE.u0".utf8)
        for _ in 0..<Int.random(in: 1...3, using: &rng) where !bytes.isEmpty {
            let index = Int.random(in: bytes.indices, using: &rng)
            switch Int.random(in: 0..<3, using: &rng) {
            case 0: bytes[index] = .random(in: 0...255, using: &rng)
            case 1: bytes.remove(at: index)
            default: bytes.insert(marks[.random(in: marks.indices, using: &rng)], at: index)
            }
        }
        return bytes
    }

    private func isSkipped(_ bytes: [UInt8]) -> Bool {
        var reader = JSONReader(bytes.span.bytes)
        do throws(JSONError) {
            try reader.skip()
            try reader.finish()
            return true
        } catch {
            return false
        }
    }
}
