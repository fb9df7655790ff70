import Charging
import JSON
import OCPP

extension StationAgent {
    /// The vendor whose messages every board understands.
    static let vendor = "kerb"

    /// Unknown vendors and unknown messages are told apart. OCPP 1.6 §5.6.
    func answer(to message: DataMessage) async -> CommandAnswer {
        guard message.vendor == Self.vendor else {
            return .data(status: "UnknownVendorId", data: nil)
        }
        switch message.message {
        case "Status": return .data(status: "Accepted", data: await view().json.text)
        case "ChargeLimit": return await limit(message.data ?? "")
        default: return .data(status: "UnknownMessageId", data: nil)
        }
    }
}
