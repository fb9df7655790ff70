import Charging
import Service

extension Sessions {
    /// The charge that runs on a connector, without what it costs.
    struct Charge: Hashable, Sendable {
        var session: String
        var startedAt: Timestamp
        var transaction: TransactionReference?
        var currents: MeterReading.Currents?
        var currentsAt: Timestamp?
    }

    func charge(at outlet: OutletID) -> Charge? {
        book.withLock { book in
            book.open(station: outlet.station, connector: outlet.connector).last
                .flatMap { book.entries[$0] }
                .map { entry in
                    Charge(
                        session: entry.session.id, startedAt: entry.session.startedAt,
                        transaction: entry.session.transaction, currents: entry.currents,
                        currentsAt: entry.currentsAt)
                }
        }
    }

    func chargingStations() -> Set<String> { book.withLock { $0.stations } }

    func isRunning(_ session: String) -> Bool {
        book.withLock { $0.key(id: session) != nil }
    }
}
