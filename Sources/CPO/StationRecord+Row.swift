import Charging
import SQL

package enum StationError: Error, Hashable, Sendable {
    /// Not in the registry: the door admits a station before it speaks for it.
    case unknown
    /// As many charges of one that waits to be taken in as are believed; later it is served.
    case tooMuchOfPending
}

extension StationRecord {
    init(row: Row) throws {
        let identity = try row.textOrNil("vendor").map {
            StationIdentity(
                vendor: $0, model: try row.textOrNil("model") ?? "",
                serial: try row.textOrNil("serial"), firmware: try row.textOrNil("firmware"),
                meterType: try row.textOrNil("meter_type"),
                meterSerial: try row.textOrNil("meter_serial"))
        }
        self.init(
            id: try row.text("id"),
            registration: RegistrationStatus(rawValue: try row.text("registration")) ?? .pending,
            identity: identity, subprotocol: try row.textOrNil("subprotocol"),
            isOnline: try row.bool("is_online"), linkEpoch: try row.int64("link_epoch"),
            linkChangedAt: try row.timestampOrNil("link_changed_at"),
            bootedAt: try row.timestampOrNil("booted_at"),
            createdAt: try row.timestamp("created_at"))
        guard let at = try row.timestampOrNil("replaced_at") else { return }
        replaced = Replacement(
            former: try row.textOrNil("former_identity") ?? "", at: at,
            times: try row.int64OrNil("replaced_times") ?? 1)
    }
}

extension StationRecord.Connector {
    init(row: Row) throws {
        self.init(
            number: try row.int("number"),
            status: ConnectorStatus(rawValue: try row.text("status")) ?? .faulted,
            errorCode: try row.text("error_code"), info: try row.textOrNil("info"),
            vendorErrorCode: try row.textOrNil("vendor_error_code"), at: try row.timestamp("at"),
            since: try row.timestampOrNil("since"))
    }
}

extension StationIdentity {
    /// Whether another device says so than the one that said `former`. One that only learned to tell its
    /// serial is the same.
    package func isAnother(than former: StationIdentity) -> Bool {
        func differ(_ a: String, _ b: String) -> Bool { a.lowercased() != b.lowercased() }
        if let serial, let known = former.serial, differ(serial, known) { return true }
        return differ(vendor, former.vendor) || differ(model, former.model)
    }

    /// For a person.
    package var words: String {
        "\(vendor) \(model)" + (serial.map { ", serial \($0)" } ?? ", no serial")
    }
}
