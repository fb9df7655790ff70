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
