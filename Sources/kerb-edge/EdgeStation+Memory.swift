import Charging
import HAL
import Service
import Station

extension EdgeStation {
    /// What the journal remembers of the connectors from before the start.
    struct Memory {
        let bootID: String
        let written: [String: String]
        let recovered: [ConnectorNumber: ConnectorMachine.Recovered]
        let latched: [ConnectorNumber: Set<Fault>]
        let availability: [ConnectorNumber: Bool]

        init(_ journal: BoardJournal, _ settings: EdgeSettings, _ log: Log) async throws {
            bootID = journal.bootID
            written = try await journal.settings()
            recovered = try await journal.recovered()
            let orphans = try await journal.closeOrphans(
                connectors: settings.evses.map(\.connector))
            if orphans > 0 { log.warning("charges without connector closed", ["count": orphans]) }
            latched = try await journal.latchedFaults()
            availability = try await journal.availability()
        }

        func machine(
            of outlet: Cabinet.Outlet, _ rules: ConnectorRules, at now: Instant, _ log: Log
        ) -> ConnectorMachine {
            let number = outlet.connector
            var open = recovered[number]
            open?.hasDeadMan = outlet.devices.contactor.deadMan.kind != .none
            if let open {
                log.notice(
                    "charge found open",
                    [
                        "connector": number, "charge": open.transaction,
                        "registerWh": open.lastRegister.value, "reason": open.reason.rawValue,
                    ])
            }
            let lastClosing = ContactorWear.lastClosing(of: number, in: written, bootID: bootID)
            var wear = ContactorWear(text: written[ContactorWear.key(of: number)] ?? "")
            wear.countFall(wasPowered: lastClosing != nil)
            return ConnectorMachine(
                number: number, board: outlet.capabilities, rules: rules,
                isOperative: availability[number] ?? true, latched: latched[number] ?? [],
                recovering: open,
                wear: wear, lastClosing: lastClosing, at: now)
        }
    }
}
