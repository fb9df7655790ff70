import Charging
import OCPP

/// Local lists and reservations. OCPP 1.6 §5.1, §5.10, §5.13, §5.16.
extension OCPP16Dialect {
    func listRequest(for command: StationCommand) throws(DialectError) -> CallRequest {
        switch command {
        case .sendLocalList(let update):
            try Self.check(update)
            return try request(SendLocalList.action) { SendLocalList.write(update, &$0) }
        case .reserve(let reservation):
            try Self.check(reservation)
            return try request(ReserveNow.action) { ReserveNow.write(reservation, &$0) }
        case .cancelReservation(let id):
            return try request(CancelReservation.action) { CancelReservation.write(id, &$0) }
        default:
            return try request(GetLocalListVersion.action) { GetLocalListVersion.write(&$0) }
        }
    }

    private static func check(_ update: LocalListUpdate) throws(DialectError) {
        // 0 and −1 mean "empty" and "no lists" in a station's answer: no list may be called so.
        guard update.version > 0 else { throw .unfit(field: "listVersion") }
        guard update.entries.count <= LocalListUpdate.mostEntries else {
            throw .unfit(field: "localAuthorizationList")
        }
        for entry in update.entries {
            try check(token: entry.token)
            if update.kind == .full, entry.info == nil { throw .missing(field: "idTagInfo") }
        }
    }

    private static func check(_ reservation: Reservation) throws(DialectError) {
        try check(connector: reservation.connector)
        try check(token: reservation.token)
        if let group = reservation.group, !Wire.isToken(group) {
            throw .unfit(field: "parentIdTag")
        }
    }
}
