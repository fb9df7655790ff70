import Charging
import OCPP
import Testing

@testable import OCPP16

@Suite struct `A list or a reservation in 1.6` {
    private let dialect = OCPP16Dialect()

    private func code(_ action: String, _ json: String) -> CallError.Code? {
        do throws(CallError) {
            _ = try dialect.command(CallRequest(action: action, payload: Array(json.utf8)))
            return nil
        } catch { return error.code }
    }

    @Test(
        arguments: [
            (#"{"listVersion":1,"updateType":"Some"}"#, .propertyViolation),
            (#"{"listVersion":1}"#, .missingField), (#"{"updateType":"Full"}"#, .missingField),
            (
                #"{"listVersion":1,"updateType":"Full","localAuthorizationList":[{}]}"#,
                .missingField
            ),
            (
                #"{"listVersion":1,"updateType":"Full","#
                    + #""localAuthorizationList":[{"idTag":"a","idTagInfo":{}}]}"#, .missingField
            ),
            (
                #"{"listVersion":1,"updateType":"Full","localAuthorizationList":7}"#,
                .typeViolation
            ),
            (#"{"listVersion":"x","updateType":"Full"}"#, .typeViolation),
        ] as [(String, CallError.Code)])
    func `is refused where it would have to be guessed`(_ json: String, _ expected: CallError.Code)
    {
        #expect(code("SendLocalList", json) == expected)
    }

    @Test func `is refused whole where it is too long`() {
        let entry = #"{"idTag":"a","idTagInfo":{"status":"Accepted"}}"#
        func list(_ count: Int) -> String {
            let entries = Array(repeating: entry, count: count).joined(separator: ",")
            return #"{"listVersion":1,"updateType":"Full","localAuthorizationList":[\#(entries)]}"#
        }
        #expect(code("SendLocalList", list(LocalListUpdate.mostEntries)) == nil)
        #expect(
            code("SendLocalList", list(LocalListUpdate.mostEntries + 1)) == .occurrenceViolation)
    }

    @Test func `takes what it must not take for something else`() throws {
        let json =
            #"{"listVersion":"3","updateType":"Differential","localAuthorizationList":"#
            + #"{"idTag":" GONE ","idTagInfo":null}}"#
        let read = try dialect.command(
            CallRequest(action: "SendLocalList", payload: Array(json.utf8)))
        #expect(
            read.value
                == .sendLocalList(
                    LocalListUpdate(
                        kind: .differential, version: 3, entries: [.init(token: "GONE", info: nil)])
                ))
        #expect(
            read.deviations
                == Deviations(.textForNumber, .objectForList, .nullField, .textPadded))
    }

    @Test(
        arguments: [
            (
                #"{"connectorId":1,"expiryDate":"soon","idTag":"a","reservationId":1}"#,
                .propertyViolation
            ),
            (#"{"connectorId":1,"idTag":"a","reservationId":1}"#, .missingField),
            (
                #"{"connectorId":-1,"expiryDate":"2027-01-01T00:00:00Z","idTag":"a","#
                    + #""reservationId":1}"#, .propertyViolation
            ),
        ] as [(String, CallError.Code)])
    func `has an end and a connector`(_ json: String, _ expected: CallError.Code) {
        #expect(code("ReserveNow", json) == expected)
    }

    @Test func `is never sent with a version that means none`() {
        for version in [0, -1] {
            #expect(throws: DialectError.unfit(field: "listVersion")) {
                try dialect.request(
                    for: .sendLocalList(
                        LocalListUpdate(kind: .full, version: version, entries: [])))
            }
        }
        #expect(throws: DialectError.missing(field: "idTagInfo")) {
            try dialect.request(
                for: .sendLocalList(
                    LocalListUpdate(
                        kind: .full, version: 1, entries: [.init(token: "T", info: nil)])))
        }
    }
}
