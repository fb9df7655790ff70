import Charging
import OCPP
import Service

/// The operator asks for a message; the answer goes first. OCPP 1.6 §5.17.
extension StationAgent {
    func trigger(_ message: String, _ number: ConnectorNumber?) -> CommandAnswer {
        switch message {
        case "StatusNotification", "MeterValues":
            // Of connectors these two only; the others are the station's, whatever was named.
            if let number, number != 0, !connectors.contains(where: { $0.number == number }) {
                return .status("Rejected")
            }
            if message == "MeterValues" {
                errands.yield { await self.reportMeters(number) }
            } else {
                reportStatusAgain(number)
            }
        case "Heartbeat":
            errands.yield { await self.beat() }
        case "BootNotification":
            // Once accepted a station must not boot again by word alone. OCPP 1.6 errata 3.40.
            guard registration != .accepted else { return .status("Rejected") }
            errands.yield { _ = await self.call(.booted(self.configuration.identity), .urgent) }
        // What is left are those of upkeep on a board without.
        default: return .status("NotImplemented")
        }
        return .status("Accepted")
    }

    private func reportStatusAgain(_ number: ConnectorNumber?) {
        for key in Array(told.keys) where number == nil || key == number {
            told.removeValue(forKey: key)
        }
        errands.yield { await self.reportStatuses() }
    }

    /// 0 is the station: there is no meter for all of it, so every connector's is told.
    private func reportMeters(_ number: ConnectorNumber?) async {
        for connector in connectors where number == nil || number == 0 || connector.number == number
        {
            let view = await connector.view()
            guard let meter = view.meter else { continue }
            var transaction: TransactionReference?
            if let charge = view.charge?.id {
                do {
                    transaction = try await journal.operatorID(of: charge).map { .number($0) }
                } catch {
                    log.error("journal not read", ["error": String(describing: error)])
                }
            }
            let reading = StoredSample(meter, .trigger)
                .reading(of: settings.choices(.measurandsSampled))
            guard !reading.samples.isEmpty else { continue }
            _ = await call(
                .metered(
                    MeterReport(
                        connector: connector.number, transaction: transaction, readings: [reading]))
            )
        }
    }
}
