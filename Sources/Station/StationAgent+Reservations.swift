import Charging
import HAL
import OCPP
import Service

/// Connectors kept for drivers. A connector's own reservation lives in its machine; one for the
/// station (connector 0) keeps a connector only once no other is left. OCPP 1.6 §3.5, §5.1, §5.13.
extension StationAgent {
    /// Takes up what was reserved before a restart. While it cannot be read nobody new starts: who
    /// would be the stranger at a reserved connector is not known.
    func resumeReservations() async {
        guard !areReservationsKnown else { return }
        do {
            for reservation in try await journal.reservations() {
                reservations[reservation.id] = reservation
                guard reservation.connector != 0 else { continue }
                guard let connector = controller(reservation.connector) else {
                    await drop(reservation.id)
                    continue
                }
                await connector.take(.reserve(reservation.ofConnector))
            }
            areReservationsKnown = true
        } catch {
            if !saidReservationsAreUnread {
                log.error(
                    "reservations not read, nobody new starts until they are",
                    ["error": String(describing: error)])
            }
            saidReservationsAreUnread = true
        }
        for connector in connectors {
            await connector.take(.reservations(areKnown: areReservationsKnown))
        }
        guard areReservationsKnown else { return }
        if saidReservationsAreUnread { log.notice("reservations are read") }
        await shareOut()
    }

    // MARK: The operator's wishes

    /// OCPP 1.6 §5.13. The same number again replaces; where that is refused the old one stays.
    func reserve(_ wanted: Reservation) async -> CommandAnswer {
        guard areReservationsKnown, wanted.expires > clock.now else { return .status("Rejected") }
        if wanted.connector == 0 { return await reserveStation(wanted) }
        guard let connector = controller(wanted.connector) else { return .status("Rejected") }
        // What the station holds there for another driver can be held elsewhere, or is lost to him.
        if let held = holds[wanted.connector], held != wanted.id,
            await isEnough(without: wanted)
        {
            await release(wanted.connector)
        }
        if let why = await connector.reserve(wanted.ofConnector) { return .status(why.word) }
        guard await keep(wanted) else {
            // What it would have replaced stands, as the operator is told.
            let old = reservations[wanted.id]
            await connector.take(
                .reserve(old?.connector == wanted.connector ? old?.ofConnector : nil))
            return .status("Rejected")
        }
        await shareOut()
        return .status("Accepted")
    }

    private func reserveStation(_ wanted: Reservation) async -> CommandAnswer {
        guard settings.bool(.reserveConnectorZero) else { return .status("Rejected") }
        guard await isEnough(without: wanted) else { return .status(await whyNoneIsFree().word) }
        guard await keep(wanted) else { return .status("Rejected") }
        await shareOut()
        return .status("Accepted")
    }

    /// Makes a reservation durable and gives up what it replaces.
    private func keep(_ wanted: Reservation) async -> Bool {
        do { try await journal.keep(wanted) } catch {
            log.error("journal not written", ["error": String(describing: error)])
            return false
        }
        let old = reservations.updateValue(wanted, forKey: wanted.id)
        log.notice(
            "reserved", ["reservation": wanted.id, "connector": wanted.connector])
        guard let old, old.connector != wanted.connector else { return true }
        if old.connector == 0 {
            await releaseHolds(of: old.id, but: wanted.connector)
            holds[wanted.connector] = nil
            boundUntil[wanted.connector] = nil
        } else {
            await giveFree(old.connector, heldBy: old.id)
        }
        return true
    }

    /// OCPP 1.6 §5.1.
    func cancel(reservation id: Int) async -> CommandAnswer {
        guard let held = reservations[id] else { return .status("Rejected") }
        await drop(id)
        if held.connector == 0 {
            await releaseHolds(of: id)
        } else {
            await giveFree(held.connector, heldBy: id)
        }
        await shareOut()
        return .status("Accepted")
    }

    private func drop(_ id: Int) async {
        reservations[id] = nil
        do { try await journal.forget(reservation: id) } catch {
            // It ends by its date after the next start.
            log.error("journal not written", ["error": String(describing: error)])
        }
    }

    private func giveFree(_ number: ConnectorNumber, heldBy id: Int) async {
        guard let connector = controller(number), await connector.view().reservation?.id == id
        else { return }
        await connector.take(.reserve(nil))
    }

    /// What became of a connector's reservation.
    func ended(
        _ id: Int, at connector: ConnectorNumber, _ why: ConnectorMachine.ReservationEnd
    ) async {
        if holds[connector] == id {
            holds[connector] = nil
            boundUntil[connector] = nil
        }
        let held = reservations[id]
        switch why {
        case .replaced: return
        case .used: await drop(id)
        case .expired, .cancelled:
            // The station's own is only looked after elsewhere; one that moved, or was made anew
            // since, lives on.
            if held?.connector == connector,
                await controller(connector)?.view().reservation?.id != id
            {
                await drop(id)
            }
        }
        await shareOut()
    }

    /// Looks once a second whose time is over, and tries again to read what could not be read.
    func keepReservations() async {
        while !Task.isCancelled {
            do { try await clock.sleep(milliseconds: 1_000) } catch { return }
            await resumeReservations()
            guard !reservations.isEmpty else { continue }
            await expireReservations()
            // A fault may have passed, or a connector come free, before its status is told.
            await shareOut()
        }
    }

    /// Ends those of the station whose time is over; connectors do it themselves.
    private func expireReservations() async {
        let now = clock.now
        let over = reservations.values.filter { $0.connector == 0 && $0.expires <= now }
        for reservation in over {
            await drop(reservation.id)
            await releaseHolds(of: reservation.id)
        }
        if !over.isEmpty { await shareOut() }
    }

    // MARK: Reservations of the station

    /// Whose of the station's reservations this token may use.
    private func stationReservation(for token: String, group: String?) -> Reservation? {
        reservations.values.filter { $0.connector == 0 }.sorted { $0.id < $1.id }.first {
            $0.ofConnector.admits(token: token, group: group)
        }
    }

    /// The driver of the station's reservation has chosen a connector: his start tells its number.
    func bindReservation(of token: String, to connector: ConnectorController) async {
        guard reservations.values.contains(where: { $0.connector == 0 }) else { return }
        let group = await known(token: token)?.group
        guard let reservation = stationReservation(for: token, group: group) else { return }
        let view = await connector.view()
        guard view.charge == nil else { return }
        if view.reservation == nil {
            // Somebody else's token waits for a plug here.
            guard view.isPlugged || view.status.status != .preparing else { return }
            await connector.take(.reserve(reservation.ofConnector))
        } else if view.reservation?.id != reservation.id {
            return
        }
        holds[connector.number] = reservation.id
        let patience = settings.connectorRules.connectionTimeoutMilliseconds
        boundUntil[connector.number] =
            clock.monotonicMilliseconds + patience + ConnectorTimings.authorizationWaits
        await releaseHolds(of: reservation.id, but: connector.number)
    }

    private func release(_ number: ConnectorNumber) async {
        boundUntil[number] = nil
        guard let id = holds.removeValue(forKey: number) else { return }
        await giveFree(number, heldBy: id)
    }

    private func releaseHolds(of id: Int, but kept: ConnectorNumber? = nil) async {
        for (number, held) in holds where held == id && number != kept { await release(number) }
    }

    /// True where a free connector is left for this one besides all others of the station.
    private func isEnough(without wanted: Reservation) async -> Bool {
        var free = 0
        for connector in connectors {
            let view = await connector.view()
            let isOwn = view.reservation?.id == wanted.id
            if view.isFree(heldBy: holds[connector.number]) || isOwn && !view.isInUse { free += 1 }
        }
        let others = reservations.values.count { $0.connector == 0 && $0.id != wanted.id }
        return free > others
    }

    private func whyNoneIsFree() async -> ConnectorMachine.ReservationRefusal {
        var statuses: Set<ConnectorStatus> = []
        for connector in connectors { statuses.insert(await connector.view().status.status) }
        if statuses == [.faulted] { return .faulted }
        return statuses.isSubset(of: [.faulted, .unavailable]) ? .unavailable : .occupied
    }

    /// Keeps as many connectors as the station's reservations need, and none where more are free.
    func shareOut() async {
        guard !holds.isEmpty || reservations.values.contains(where: { $0.connector == 0 }) else {
            return
        }
        // One at a time: it awaits every connector, and what changes meanwhile calls it again.
        guard !isSharingOut else {
            mustShareAgain = true
            return
        }
        isSharingOut = true
        repeat {
            mustShareAgain = false
            await shareOutOnce()
        } while mustShareAgain
        isSharingOut = false
    }

    private func shareOutOnce() async {
        var free: [ConnectorController] = []
        var used: Set<Int> = []
        for connector in connectors {
            let view = await connector.view()
            let held = holds[connector.number]
            let isAwaited = boundUntil[connector.number] ?? 0 > clock.monotonicMilliseconds
            if view.isFree(heldBy: held), held == nil || !isAwaited {
                free.append(connector)
            } else if view.isOutOfOrder {
                // Its machine bears a fault that passes; the station has other connectors.
                await release(connector.number)
            } else if let held, view.reservation?.id == held {
                used.insert(held)  // Its driver is there.
            } else {
                holds[connector.number] = nil
                boundUntil[connector.number] = nil
            }
        }
        let waiting = reservations.values.filter { $0.connector == 0 && !used.contains($0.id) }
            .sorted { $0.id < $1.id }
        guard free.count <= waiting.count else {
            for connector in free { await release(connector.number) }
            return
        }
        let held = Set(free.compactMap { holds[$0.number] })
        var missing = waiting.filter { !held.contains($0.id) }[...]
        for connector in free where holds[connector.number] == nil {
            guard let next = missing.popFirst() else { return }
            if await connector.reserve(hold: next.ofConnector) {
                holds[connector.number] = next.id
                log.info(
                    "connector held", ["connector": connector.number, "reservation": next.id])
            }
        }
    }
}

extension Reservation {
    /// As a connector's machine holds it.
    var ofConnector: ConnectorMachine.Reservation {
        ConnectorMachine.Reservation(id: id, token: token, group: group, expires: expires)
    }
}

extension ConnectorMachine.ReservationRefusal {
    /// OCPP 1.6 §7.38.
    var word: String {
        switch self {
        case .faulted: "Faulted"
        case .unavailable: "Unavailable"
        case .occupied: "Occupied"
        case .rejected: "Rejected"
        }
    }
}

extension ConnectorView {
    /// Nobody is there, and nothing is reserved but what the station itself holds.
    func isFree(heldBy id: Int?) -> Bool {
        guard !isInUse else { return false }
        switch status.status {
        case .available: return reservation == nil
        case .reserved: return id != nil && reservation?.id == id
        case .preparing, .charging, .suspendedEV, .suspendedEVSE, .finishing, .unavailable,
            .faulted:
            return false
        }
    }

    /// Nobody can charge there now.
    var isOutOfOrder: Bool { status.status == .faulted || status.status == .unavailable }

    /// A car or a driver is there.
    var isInUse: Bool { charge != nil || isPlugged || status.status == .preparing }

    fileprivate var isPlugged: Bool {
        switch pilot {
        case .b, .c, .d: true
        case nil, .a, .e, .f: false
        }
    }
}

extension ConnectorController {
    /// True where this driver's connector is.
    func isReserved(for token: String) -> Bool {
        machine.reservation?.admits(token: token, group: nil) ?? false
    }

    /// Keeps the connector for the station's sake.
    func reserve(hold reservation: ConnectorMachine.Reservation) -> Bool {
        reserve(reservation) == nil
    }
}
