import Charging
import OCPP
import Testing

@testable import OCPP16

@Suite struct `A token that an operator orders something for` {
    private static let long = String(repeating: "A", count: 21)
    private let dialect = OCPP16Dialect()

    private func code(_ action: String, _ json: String) -> CallError.Code? {
        do throws(CallError) {
            _ = try dialect.command(CallRequest(action: action, payload: Array(json.utf8)))
            return nil
        } catch { return error.code }
    }

    private func reservation(_ tag: String, group: String) -> String {
        #"{"connectorId":1,"expiryDate":"2027-01-01T00:00:00Z","reservationId":1,"#
            + #""idTag":"\#(tag)","parentIdTag":"\#(group)"}"#
    }

    private func list(_ tag: String, group: String = "P", expires: String = "null") -> String {
        #"{"listVersion":1,"updateType":"Full","localAuthorizationList":[{"idTag":"\#(tag)","#
            + #""idTagInfo":{"status":"Accepted","parentIdTag":"\#(group)","#
            + #""expiryDate":\#(expires)}}]}"#
    }

    @Test(arguments: ["", "   ", long])
    func `is refused where no message could carry it back`(_ tag: String) {
        #expect(code("RemoteStartTransaction", #"{"idTag":"\#(tag)"}"#) == .propertyViolation)
        #expect(code("ReserveNow", reservation(tag, group: "P")) == .propertyViolation)
        #expect(code("SendLocalList", list(tag)) == .propertyViolation)
    }

    @Test func `is of no group where an order names an empty one, and of none that is too long`() {
        for (group, error) in [("", nil), (" ", nil), (Self.long, .propertyViolation)]
            as [(String, CallError.Code?)]
        {
            #expect(code("ReserveNow", reservation("T", group: group)) == error)
            #expect(code("SendLocalList", list("T", group: group)) == error)
        }
    }

    @Test func `may have twenty characters and blanks around it`() {
        let tag = " " + String(repeating: "é", count: 20) + " "
        #expect(code("RemoteStartTransaction", #"{"idTag":"\#(tag)"}"#) == nil)
        #expect(code("ReserveNow", reservation(tag, group: tag)) == nil)
        #expect(code("SendLocalList", list(tag, group: tag)) == nil)
    }

    @Test func `is read longer where a station tells it, for that is money`() throws {
        let payload = Array(#"{"idTag":"\#(Self.long)"}"#.utf8)
        let read = try dialect.event(action: "Authorize", payload: payload.span.bytes)
        #expect(read.value == .authorizing(token: Self.long))
        #expect(read.deviations == Deviations(.textTooLong))
    }

    @Test(arguments: [#""garbage""#, #""""#, "5", #""2026-13-01T00:00:00Z""#])
    func `comes in no list with an end that cannot be read`(_ expires: String) {
        #expect(code("SendLocalList", list("T", expires: expires)) == .propertyViolation)
    }

    @Test func `comes in a list with a readable end or with none`() {
        #expect(code("SendLocalList", list("T", expires: #""2027-01-01T00:00:00Z""#)) == nil)
        #expect(code("SendLocalList", list("T", expires: "null")) == nil)
    }

    @Test(arguments: [#""garbage""#, #""""#, "5", #""2026-13-01T00:00:00Z""#])
    func `is answered for now where its end cannot be read`(_ expires: String) throws {
        let info = #""idTagInfo":{"status":"Accepted","expiryDate":\#(expires)}"#
        var expected = AuthorizationInfo(.accepted)
        expected.isEndUnread = true
        func reply(_ json: String, to event: StationEvent) throws -> StationReply {
            let payload = Array(json.utf8)
            return try dialect.reply(in: payload.span.bytes, to: event).value
        }
        #expect(try reply("{\(info)}", to: .authorizing(token: "T")) == .authorization(expected))
        let start = SessionStart(
            connector: 1, token: "T", meterStart: WattHours(0), at: Timestamp(seconds: 0))
        #expect(
            try reply(#"{"transactionId":7,\#(info)}"#, to: .sessionStarted(start))
                == .started(.number(7), expected))
    }

    @Test func `is of no group where an answer names an empty one`() throws {
        let payload = Array(#"{"idTagInfo":{"status":"Accepted","parentIdTag":" "}}"#.utf8)
        let read = try dialect.reply(in: payload.span.bytes, to: .authorizing(token: "T"))
        #expect(read.value == .authorization(AuthorizationInfo(.accepted)))
    }
}
