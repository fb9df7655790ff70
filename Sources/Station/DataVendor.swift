import Charging
import JSON
import OCPP

/// Somebody's own messages that this board understands, by their ids. OCPP 1.6 §5.6.
package struct DataVendor: Sendable {
    package typealias Handler = @Sendable (_ data: String?) async -> CommandAnswer

    /// nil is for messages without an id.
    package var messages: [String?: Handler]

    package init(messages: [String?: Handler]) { self.messages = messages }
}

extension StationAgent {
    /// The vendor whose messages every board understands.
    static let vendor = "kerb"

    /// Unknown vendors and unknown messages are told apart. OCPP 1.6 §5.6.
    func answer(to message: DataMessage) async -> CommandAnswer {
        if message.vendor == Self.vendor, message.message == "Status" {
            return .data(status: "Accepted", data: await view().json.text)
        }
        if message.vendor == Self.vendor, message.message == "ChargeLimit" {
            return await limit(message.data ?? "")
        }
        guard let vendor = configuration.vendors[message.vendor] else {
            let isOurs = message.vendor == Self.vendor
            return .data(status: isOurs ? "UnknownMessageId" : "UnknownVendorId", data: nil)
        }
        guard let handle = vendor.messages[message.message] else {
            return .data(status: "UnknownMessageId", data: nil)
        }
        return await handle(message.data)
    }
}
