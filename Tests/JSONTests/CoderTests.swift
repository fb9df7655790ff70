import Charging
import JSON
import Testing

private struct Party: Codable, Hashable {
    enum Kind: String, Codable { case cpo = "CPO", emsp = "EMSP" }
    struct Role: Codable, Hashable {
        var party_id: String
        var kind: Kind
    }
    var roles: [Role]
    var price: Decimal
    var at: Timestamp
    var count: UInt8?
    var note: String?
    var extra: JSONValue?
    var map: [String: Int]?
}

@Suite struct `The JSON coder` {
    private let text =
        #"{"at":"2026-11-21T09:42:00Z","extra":{"k":[1,null]},"map":{"a":1},"price":0.1,"#
        + #""roles":[{"kind":"CPO","party_id":"ABC"}]}"#

    @Test func `writes sorted keys and leaves nil out`() throws {
        let party = Party(
            roles: [.init(party_id: "ABC", kind: .cpo)],
            price: Decimal(significand: 10, scale: 2),
            at: try #require(Timestamp(rfc3339: "2026-11-21T09:42:00Z")),
            extra: ["k": [1, nil]], map: ["a": 1])
        #expect(String(decoding: try JSONCoder.encode(party), as: UTF8.self) == text)
    }

    @Test func `reads what it writes and ignores unknown members`() throws {
        let more = text.dropLast() + #","unknown":{"x":1},"count":null}"#
        let party = try JSONCoder.decode(Party.self, from: Array(more.utf8))
        #expect(String(decoding: try JSONCoder.encode(party), as: UTF8.self) == text)
        #expect(party.count == nil)
    }

    @Test(arguments: [
        (#"{"roles":[{"kind":"CPO"}]}"#, "$.roles[0].party_id: missing"),
        (
            #"{"roles":[{"kind":"CPO","party_id":7}]}"#,
            "$.roles[0].party_id: expected string, found number"
        ),
        (#"{"roles":{}}"#, "$.roles: expected array, found object"),
        (#"{"roles":[],"price":"x"}"#, "$.price: expected number, found string"),
        (#"{"roles":[],"price":1,"at":"yesterday"}"#, "$.at: not an RFC 3339 time"),
        (
            #"{"roles":[],"price":1,"at":"2026-11-21T09:42:00Z","count":256}"#,
            "$.count: 256 is no UInt8"
        ),
        (
            #"{"roles":[],"price":1,"at":"2026-11-21T09:42:00Z","count":1.5}"#,
            "$.count: 1.5 is no UInt8"
        ),
        (#"{"roles":"#, "$.roles: the text ends inside a value (byte 9)"),
        (#"[]"#, "$: expected object, found array"),
    ])
    func `says where a value does not fit`(text: String, message: String) throws {
        let error = try #require(throws: JSONCodingError.self) {
            try JSONCoder.decode(Party.self, from: Array(text.utf8))
        }
        #expect(error.description == message)
    }

    @Test func `names an unknown enum text with its path`() throws {
        let error = try #require(throws: JSONCodingError.self) {
            try JSONCoder.decode(
                Party.Role.self, from: ["kind": "HUB", "party_id": "ABC"] as JSONValue)
        }
        #expect(error.path == "$.kind")
    }

    @Test func `keeps big integers exact`() throws {
        let numbers: [Int64] = [.max, .min, 9_007_199_254_740_993]
        #expect(try JSONCoder.decode([Int64].self, from: JSONCoder.encode(numbers)) == numbers)
        let top = try JSONCoder.decode([UInt64].self, from: Array("[18446744073709551615]".utf8))
        #expect(top == [.max])
    }

    @Test func `takes a quoted price as a decimal`() throws {
        let prices = try JSONCoder.decode([Decimal].self, from: ["0.25", 5])
        #expect(prices == [Decimal(significand: 25, scale: 2), Decimal(5)])
    }

    @Test func `refuses numbers without a JSON spelling`() {
        #expect(throws: JSONCodingError.self) { try JSONCoder.encode([Double.nan]) }
        #expect(throws: JSONCodingError.self) { try JSONCoder.encode([Double.infinity]) }
    }

    @Test func `spells doubles so that they come back`() throws {
        let values = [0.1, 1e-7, 12345.678, -0.0, 1e21]
        #expect(try JSONCoder.decode([Double].self, from: JSONCoder.encode(values)) == values)
    }

    @Test func `carries nested arrays, dictionaries and optionals`() throws {
        let value: [String: [[Int?]]] = ["a": [[1, nil], []], "b": []]
        let bytes = try JSONCoder.encode(value)
        #expect(String(decoding: bytes, as: UTF8.self) == #"{"a":[[1,null],[]],"b":[]}"#)
        #expect(try JSONCoder.decode([String: [[Int?]]].self, from: bytes) == value)
    }
}
