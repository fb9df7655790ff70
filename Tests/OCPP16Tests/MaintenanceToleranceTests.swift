import Charging
import OCPP
import Testing

@testable import OCPP16

@Suite struct `Upkeep messages of 1.6` {
    @Test func `keeps an upkeep status nobody knows as it came`() throws {
        let payload = #"{"status":"Melting"}"#
        let request = CallRequest(
            action: "FirmwareStatusNotification", payload: Array(payload.utf8))
        #expect(
            try OCPP16Dialect().event(request).value
                == .foreign(action: "FirmwareStatusNotification", payload: payload))
    }

    /// Without its date an update would begin at once, and a log would have no bounds.
    @Test(arguments: [#""soon""#, #""2024-02-31T00:00:00Z""#, "17", "null"])
    func `takes no date that is none`(_ date: String) throws {
        let signed =
            #"{"location":"x","retrieveDateTime":\#(date),"signingCertificate":"c","signature":"s"}"#
        for (action, payload, mayBeLeftOut) in [
            ("UpdateFirmware", #"{"location":"x","retrieveDate":\#(date)}"#, false),
            ("SignedUpdateFirmware", #"{"requestId":1,"firmware":\#(signed)}"#, false),
            ("GetDiagnostics", #"{"location":"x","startTime":\#(date)}"#, true),
            (
                "GetLog",
                #"{"log":{"remoteLocation":"x","oldestTimestamp":\#(date)},"#
                    + #""logType":"SecurityLog","requestId":1}"#, true
            ),
        ] {
            let request = CallRequest(action: action, payload: Array(payload.utf8))
            if mayBeLeftOut, date == "null" {
                #expect(try OCPP16Dialect().command(request).deviations == Deviations(.nullField))
            } else {
                #expect(throws: CallError(.propertyViolation, "a date is not a time"), "\(action)")
                {
                    try OCPP16Dialect().command(request)
                }
            }
        }
    }

    @Test func `cuts no certificate, signature or place to fit`() {
        let long = String(repeating: "x", count: 11_000)
        for (action, payload) in [
            ("CertificateSigned", #"{"certificateChain":"\#(long)"}"#),
            (
                "InstallCertificate",
                #"{"certificateType":"ManufacturerRootCertificate","certificate":"\#(long)"}"#
            ),
            ("GetDiagnostics", #"{"location":"\#(long)"}"#),
            (
                "InstallCertificate",
                #"{"certificateType":"V2GRootCertificate","certificate":"x"}"#
            ),
            ("GetLog", #"{"log":{"remoteLocation":"x"},"logType":"Other","requestId":1}"#),
        ] {
            #expect(throws: CallError.self, "\(action)") {
                try OCPP16Dialect().command(
                    CallRequest(action: action, payload: Array(payload.utf8)))
            }
        }
    }
}
