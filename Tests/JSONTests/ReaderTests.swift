import Charging
import JSON
import Testing

@Suite struct `A JSON reader` {
    /// Runs `body` over the bytes of `text`; a reader cannot leave the function that borrows them.
    private func read<T>(
        _ text: String, _ body: (inout JSONReader) throws(JSONError) -> T
    ) throws(JSONError) -> T {
        let bytes = Array(text.utf8)
        var reader = JSONReader(bytes.span.bytes)
        return try body(&reader)
    }

    @Test func `pulls a message without building a tree`() throws {
        var action = ""
        var sum = Decimal.zero
        try read(#"[2,"id","MeterValues",{"x":{"y":[1]},"values":[1.5,2.25],"\u0065nd":null}]"#) {
            r throws(JSONError) in
            try r.expect(0x5B)
            _ = try r.int()
            try r.expect(0x2C)
            try r.skip()
            try r.expect(0x2C)
            action = try r.string()
            try r.expect(0x2C)
            try r.object { r, key throws(JSONError) in
                if r.matches(key, "values") {
                    try r.array { r throws(JSONError) in sum = sum + (try r.decimal()) }
                } else if r.matches(key, "end") {
                    try r.null()
                    action += "!"
                } else {
                    try r.skip()
                }
            }
            try r.expect(0x5D)
            try r.finish()
        }
        #expect(action == "MeterValues!")
        #expect(sum == Decimal("3.75"))
    }

    @Test(arguments: ["nulll", "[tru]", "{\"a\":\"\\q\"}", "[1,,2]", "[\"\\ud800\"]"])
    func `checks what it skips`(text: String) {
        #expect(throws: JSONError.self) {
            try read(text) { r throws(JSONError) in
                try r.skip()
                try r.finish()
            }
        }
    }

    @Test func `gives back the bytes of a value`() throws {
        let bytes = try read(#" { "a" : [1 , 2] } "#) { r throws(JSONError) in
            var found: [UInt8] = []
            try r.object { r, _ throws(JSONError) in found = r.bytes(try r.rawValue()) }
            return found
        }
        #expect(String(decoding: bytes, as: UTF8.self) == "[1 , 2]")
    }

    @Test(arguments: [
        "0", "-1", "999999999999999999", "1000000000000000000", "-9223372036854775808",
    ])
    func `reads whole numbers exactly`(text: String) throws {
        #expect(try read(text) { r throws(JSONError) in try r.int64() } == Int64(text))
    }

    @Test(arguments: ["9223372036854775808", "1.5", "1e30"])
    func `refuses whole numbers that do not fit`(text: String) {
        #expect(throws: JSONError.self) { try read(text) { r throws(JSONError) in try r.int64() } }
    }

    @Test(arguments: [
        "0", "-0", "0.001", "123456.789", "-5.50", "1e-3", "2.5E+2", "123456789012345678901234.5",
    ])
    func `reads decimals as their text says`(text: String) throws {
        #expect(try read(text) { r throws(JSONError) in try r.decimal() } == Decimal(text))
    }

    @Test(arguments: ["1234.5", "12kWh", ".", "-", "", "-.5", "1e2"])
    func `reads a decimal out of a string as the vocabulary does`(text: String) throws {
        let value = try read("\"\(text)\"") { r throws(JSONError) in
            r.decimal(of: try r.rawString())
        }
        #expect(value == Decimal(text))
    }

    @Test(arguments: [
        "2026-11-21T09:42:00Z", "2026-11-21T09:42:00.123Z", "2024-02-29T23:59:59Z",
        "2026-11-21T09:42:00+05:30", "2026-11-21 09:42:00", "2026-02-30T00:00:00Z",
        "2026-11-2xT09:42:00Z", "2026-11-21T24:42:00Z", "0001-01-01T00:00:00Z",
    ])
    func `reads times as the slow way does`(text: String) throws {
        let fast = try read("\"\(text)\"") { r throws(JSONError) in r.time(of: try r.rawString()) }
        #expect(fast == Timestamp(rfc3339: text))
    }

    @Test func `stops at its depth whoever asks`() {
        func dive(_ r: inout JSONReader) throws(JSONError) {
            try r.array { r throws(JSONError) in try dive(&r) }
        }
        #expect(throws: JSONError.self) {
            try read(String(repeating: "[", count: 10_000)) { r throws(JSONError) in try dive(&r) }
        }
    }
}

@Suite struct `A JSON writer` {
    @Test func `puts commas where they belong`() throws {
        var writer = JSONWriter()
        writer.array { w in
            w.int(3)
            w.object { w in
                w.member("a", "x\"y")
                w.key("b")
                w.array { _ in }
                w.member("c", Decimal(significand: 550, scale: 2))
                w.member("d", true)
                w.member("e", Timestamp(seconds: 0))
                w.key(any: "f\n")
                w.null()
            }
            w.raw(Array("[1]".utf8))
            w.string("")
        }
        let expected =
            #"[3,{"a":"x\"y","b":[],"c":5.5,"d":true,"e":"1970-01-01T00:00:00Z","f\n":null},[1],""]"#
        #expect(writer.text == expected)
    }
}
