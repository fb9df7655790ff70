import Charging
import JSON
import OCPP

/// The operator asks for one of more messages than `TriggerMessage` knows. Security white paper §6.
enum ExtendedTriggerMessage {
    static let action = "ExtendedTriggerMessage"
    static let answer = TriggerMessage.answer
    static let triggers: Set<String> = [
        "BootNotification", "FirmwareStatusNotification", "Heartbeat", "LogStatusNotification",
        "MeterValues", "SignChargePointCertificate", "StatusNotification",
    ]

    static func write(
        _ message: String, _ connector: ConnectorNumber?, _ writer: inout JSONWriter
    ) {
        TriggerMessage.write(message, connector, &writer)
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        let plain = try TriggerMessage.command(in: payload)
        guard case .trigger(let message, let connector) = plain.value else { return plain }
        var deviations = plain.deviations
        deviations.remove(.unknownEnumValue)
        // The station answers NotImplemented to a name it does not know.
        if !triggers.contains(message) { deviations.insert(.unknownEnumValue) }
        return Decoded(
            .maintenance(.trigger(message: message, connector: connector)), deviations)
    }
}
