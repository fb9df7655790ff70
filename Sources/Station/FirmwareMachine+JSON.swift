import Charging
import JSON

extension FirmwareMachine.Job {
    /// As the board's journal keeps it.
    var json: JSONValue {
        .members([
            "phase": .string(phase.rawValue), "attempts": .number(attempts),
            "installs": .number(installs), "starts": .number(starts),
            "rollbacks": .number(rollbacks), "orderedAt": .number(orderedAt),
            "version": .string(version),
            "location": .string(order.transfer.location),
            "retries": order.transfer.retries.map { .number($0) },
            "retrySeconds": order.transfer.retrySeconds.map { .number($0) },
            "retrieveAt": order.retrieveAt.map { .time($0) },
            "request": order.signed.map { .number($0.requestID) },
            "installAt": order.signed?.installAt.map { .time($0) },
            "certificate": order.signed.map { .string($0.certificate) },
            "signature": order.signed.map { .string($0.signature) },
        ])
    }

    /// nil for what this program never writes.
    init?(json: JSONValue) {
        guard let phase = json["phase"]?.string.flatMap(FirmwareMachine.Phase.init),
            let version = json["version"]?.string, let location = json["location"]?.string
        else { return nil }
        var order = FirmwareOrder(
            transfer: TransferOrder(
                location: location, retries: json["retries"]?.int,
                retrySeconds: json["retrySeconds"]?.int), retrieveAt: json["retrieveAt"]?.time)
        if let request = json["request"]?.int, let certificate = json["certificate"]?.string,
            let signature = json["signature"]?.string
        {
            order.signed = FirmwareOrder.Signed(
                requestID: request, installAt: json["installAt"]?.time, certificate: certificate,
                signature: signature)
        }
        self.init(
            order: order, phase: phase, attempts: json["attempts"]?.int ?? 0,
            installs: json["installs"]?.int ?? 0, starts: json["starts"]?.int ?? 0,
            rollbacks: json["rollbacks"]?.int ?? 0, orderedAt: json["orderedAt"]?.int64 ?? 0,
            version: version)
    }
}
