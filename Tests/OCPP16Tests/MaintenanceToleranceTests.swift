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
