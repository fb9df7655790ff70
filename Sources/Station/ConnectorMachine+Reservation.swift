import Charging

extension ConnectorMachine {
    /// A connector kept for one driver, or one group of drivers, until a time. OCPP 1.6 §5.13.
    package struct Reservation: Hashable, Sendable {
        /// The operator's number; it goes out with the start that uses the reservation.
        package var id: Int
        package var token: String
        package var group: String?
        /// By the wall's clock: the operator dated it, no duration of the board's hangs on it.
        package var expires: Timestamp

        package init(id: Int, token: String, group: String? = nil, expires: Timestamp) {
            self.id = id
            self.token = token
            self.group = group
            self.expires = expires
        }

        /// True for the token itself, or for one that the operator says is of the same group.
        package func admits(token: String, group: String?) -> Bool {
            if token.lowercased() == self.token.lowercased() { return true }
            guard let group, let own = self.group else { return false }
            return group.lowercased() == own.lowercased()
        }

        /// True where asking the operator about this token could still let it in.
        func mayAdmit(token: String) -> Bool {
            admits(token: token, group: nil) || group != nil
        }
    }

    /// Why a connector is not reserved.
    package enum ReservationRefusal: String, Hashable, Sendable {
        case faulted, unavailable
        /// A charge, a car, a waiting token or another reservation is there.
        case occupied
        /// Its end is over, or the board is still starting.
        case rejected
    }

    /// What became of a reservation.
    package enum ReservationEnd: String, Hashable, Sendable {
        /// Its driver's start is on the disk.
        case used
        case expired
        /// By the operator, or because the connector can no longer serve it: he set it out of service,
        /// or a fault lasted. OCPP 1.6 §5.13.
        case cancelled
        /// The operator sent the same number again.
        case replaced
    }

    /// Why a reservation would be refused now; nil when it would be taken.
    package func refusalOfReservation(
        _ wanted: Reservation, at now: Instant
    ) -> ReservationRefusal? {
        if !isReady || isEnding || !areReservationsKnown || wanted.expires <= now.wall {
            return .rejected
        }
        if !faults.isEmpty { return .faulted }
        if !isInService { return .unavailable }
        if let reservation { return reservation.id == wanted.id ? nil : .occupied }
        if transaction != nil || isPlugged || permission != .none { return .occupied }
        return nil
    }

    /// Holds a reservation, or gives up the one that is held. After a restart the board reads no
    /// input yet, so that what was kept is taken without asking `refusalOfReservation`.
    mutating func absorbReservation(_ wanted: Reservation?, _ effects: inout Effects) {
        if let held = reservation, held != wanted {
            endReservation(held.id == wanted?.id ? .replaced : .cancelled, &effects)
        }
        guard let wanted else { return }
        // A charge that was found open after a restart may be the one that used it.
        if let transaction, wanted.admits(token: transaction.token, group: transaction.group) {
            effects.others.append(.report(.reservationEnded(id: wanted.id, .used)))
        } else {
            reservation = wanted
        }
    }

    /// Ends a reservation whose time is over or whose connector can no longer serve it.
    ///
    /// OCPP 1.6 §5.13 ends it with Faulted, §4.9 lets Faulted pass into Reserved again: a fault that
    /// passes takes no driver's place away, one that lasts does. What the board holds up for itself
    /// is no Unavailable of the operator's.
    mutating func updateReservation(_ now: Instant, _ effects: inout Effects) {
        let isKeptAway = reservation != nil && !faults.isEmpty
        reservationFaultySince = isKeptAway ? reservationFaultySince ?? now.milliseconds : nil
        guard let reservation else { return }
        let isLost =
            reservationFaultySince.map {
                now.since($0) >= ConnectorTimings.reservationOutlivesFault
            } ?? false
        if reservation.expires <= now.wall {
            endReservation(.expired, &effects)
        } else if !isOperative || isLost {
            endReservation(.cancelled, &effects)
        }
    }

    private mutating func endReservation(_ why: ReservationEnd, _ effects: inout Effects) {
        guard let held = reservation else { return }
        reservation = nil
        effects.others.append(.report(.reservationEnded(id: held.id, why)))
    }

    /// True unless the connector is kept for somebody else.
    func isAdmitted(token: String, group: String?) -> Bool {
        reservation?.admits(token: token, group: group) ?? true
    }
}
