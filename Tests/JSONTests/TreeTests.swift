import Charging
import JSON
import Testing

@Suite struct `A JSON tree` {
    @Test func `keeps numbers exactly as they were spelled`() throws {
        let text = #"{"a":0.1,"b":12345678901234567890123,"c":5.50,"d":1e3}"#
        let value = try JSONValue(parsing: text)
        #expect(value["a"]?.decimal == Decimal("0.1"))
        #expect(value["b"]?.int64 == nil)
        #expect(value["b"]?.decimal == Decimal("12345678901234567890123"))
        #expect(value["c"]?.number?.text == "5.50")
        #expect(value["d"]?.int == 1000)
        #expect(value.text == text)
    }

    @Test func `writes keys sorted by their bytes`() throws {
        let value: JSONValue = ["b": 1, "a": [true, nil, "x"], "Z": [:], "é": "\u{1F600}"]
        #expect(value.text == #"{"Z":{},"a":[true,null,"x"],"b":1,"é":"😀"}"#)
    }

    @Test func `reads every escape and writes the short ones`() throws {
        let value = try JSONValue(parsing: #""\"\\\/\b\f\n\r\t\u0001é\ud83d\ude00""#)
        #expect(value.string == "\"\\/\u{8}\u{C}\n\r\t\u{1}é😀")
        #expect(value.text == #""\"\\/\b\f\n\r\t\u0001é😀""#)
    }

    @Test func `matches keys that are escaped`() throws {
        #expect(try JSONValue(parsing: #"{"\u0061\u0063tion":"x"}"#)["action"]?.string == "x")
    }

    @Test(arguments: [
        ("", JSONError.Reason.endOfText, 0),
        ("   ", .endOfText, 3),
        ("[1,2", .endOfText, 4),
        ("[1,]", .unexpected(0x5D), 3),
        ("{\"a\":1,}", .expected("a string"), 7),
        ("{a:1}", .expected("a string"), 1),
        ("[1] x", .trailingBytes, 4),
        ("nul", .endOfText, 0),
        ("nulx", .unexpected(0x78), 3),
        ("nullx", .trailingBytes, 4),
        ("NaN", .badNumber, 0),
        ("Infinity", .badNumber, 0),
        ("-", .badNumber, 1),
        ("01", .badNumber, 1),
        ("1.", .badNumber, 2),
        (".5", .unexpected(0x2E), 0),
        ("1e", .badNumber, 2),
        ("+1", .unexpected(0x2B), 0),
        ("1.2.3", .badNumber, 3),
        ("0x10", .badNumber, 1),
        ("\"a\u{1}b\"", .unexpected(1), 2),
        ("\"\\x\"", .badEscape, 1),
        ("\"\\u12G4\"", .badEscape, 5),
        ("\"\\ud800\"", .badEscape, 1),
        ("\"\\udc00\"", .badEscape, 1),
        ("\"\\ud800\\u0041\"", .badEscape, 1),
        ("\"\\u0000\"", .nulCharacter, 1),
        ("\"open", .endOfText, 5),
        ("\"open\\", .endOfText, 5),
        ("{\"a\":1,\"\\u0061\":2}", .duplicateKey("a"), 8),
        ("'a'", .unexpected(0x27), 0),
        ("[1 2]", .unexpected(0x32), 3),
        ("/* */1", .unexpected(0x2F), 0),
    ])
    func `refuses what is not JSON and says where`(
        text: String, reason: JSONError.Reason, offset: Int
    ) throws {
        let error = try #require(throws: JSONError.self) { try JSONValue(parsing: text) }
        #expect(error.reason == reason)
        #expect(error.offset == offset)
    }

    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80],
            [0xF4, 0x90, 0x80, 0x80], [0xF0, 0x80, 0x80, 0x80], [0xFF], [0xE2, 0x82],
        ] as [[UInt8]])
    func `refuses bytes that are not UTF-8`(bytes: [UInt8]) throws {
        let error = try #require(throws: JSONError.self) {
            try JSONValue(parsing: [0x22] + bytes + [0x22])
        }
        #expect(error.reason == .badUTF8)
    }

    @Test func `refuses a NUL byte wherever it stands`() {
        for bytes in [[0x00], [0x22, 0x00, 0x22], [0x31, 0x00]] as [[UInt8]] {
            #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
        }
    }

    @Test func `names the member an error is in`() throws {
        let error = try #require(throws: JSONError.self) {
            try JSONValue(parsing: #"{"roles":[{"party id":{"x":tru}}]}"#)
        }
        #expect(error.path == #"$.roles[0]["party id"].x"#)
    }

    @Test func `keeps every limit`() throws {
        func reason(_ text: String, _ limits: JSONLimits) -> JSONError.Reason? {
            do throws(JSONError) { _ = try JSONValue(parsing: text, limits: limits) } catch {
                return error.reason
            }
            return nil
        }
        #expect(reason(String(repeating: "[", count: 100_000), .standard) == .limit("depth"))
        let nested = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(reason(nested, .standard) == nil)
        #expect(reason("[\(nested)]", .standard) == .limit("depth"))
        #expect(reason("[1,2,3]", JSONLimits(elements: 2)) == .limit("elements"))
        #expect(reason(#"{"a":1,"b":2}"#, JSONLimits(members: 1)) == .limit("members"))
        #expect(reason("[[],[]]", JSONLimits(values: 2)) == .limit("values"))
        #expect(reason("\"abc\"", JSONLimits(stringBytes: 2)) == .limit("stringBytes"))
        #expect(reason("[12345]", JSONLimits(numberBytes: 4)) == .limit("numberBytes"))
        #expect(reason("[1,2,3]", JSONLimits(bytes: 6)) == .limit("bytes"))
        #expect(reason("\"long\"", JSONLimits(bytes: 5)) == .limit("bytes"))
    }

    @Test func `compares numbers by value`() throws {
        #expect(try JSONValue(parsing: "[1.0,10]") == JSONValue(parsing: "[1,1e1]"))
        #expect(try JSONValue(parsing: "1") != JSONValue(parsing: "\"1\""))
    }

    @Test func `has no number where the text holds none`() {
        #expect(JSONNumber("1 ") == nil)
        #expect(JSONNumber("") == nil)
        #expect(JSONNumber("NaN") == nil)
        #expect(JSONNumber("1e999")?.decimal == nil)
        #expect(JSONNumber("1e999")?.double == nil)
        #expect(JSONNumber("9223372036854775808")?.int64 == nil)
        #expect(JSONNumber("9223372036854775808")?.uint64 == 9_223_372_036_854_775_808)
        #expect(JSONNumber("-9223372036854775808")?.int64 == .min)
        #expect(JSONNumber("1.5")?.int64 == nil)
    }
}
