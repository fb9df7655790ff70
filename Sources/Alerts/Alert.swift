import Charging
import SQL

/// Something that a person should know before drivers or partners tell.
package struct Alert: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// A registered station has no connection for longer than the settings allow.
        case stationOffline
        /// Registered stations that never had a connection, all in one: an import may bring hundreds.
        case stationsNeverCame
        /// A station that was taken in stands in the inbox again: it serves nobody until a person looks.
        case stationWaits
        /// Another device came by a station's id.
        case stationReplaced
        /// A station told of a security event that a person must look at.
        case stationSecurity
        /// A connector is faulted for longer than the settings allow.
        case connectorFaulted
        /// A plug has tariffs, and none that is valid now: charging there costs nothing.
        case tariffEnded
        /// Plugs that stand in no location charged within a day, all in one: nobody pays for that.
        case chargesForNothing
        /// Something suspect about a bill waits in the review list.
        case moneyWaits
        /// What a partner refused, or did not take in all tries, was set aside and waits for a person.
        case deliveryStuck
        /// A partner does not take a bill for longer than the settings allow; it is tried on.
        case billsWait
        /// A firmware campaign paused by itself, because too many stations failed.
        case campaignPaused

        /// For the subject of a mail.
        package var title: String {
            switch self {
            case .stationOffline: "station offline"
            case .stationsNeverCame: "stations never connected"
            case .stationWaits: "a registered station waits in the inbox"
            case .stationReplaced: "a station is another device"
            case .stationSecurity: "a station's security"
            case .connectorFaulted: "connector faulted"
            case .tariffEnded: "a plug's tariff is over"
            case .chargesForNothing: "charges cost nothing"
            case .moneyWaits: "money waits for a decision"
            case .deliveryStuck: "a partner does not take deliveries"
            case .billsWait: "bills do not reach a partner"
            case .campaignPaused: "a firmware campaign paused"
            }
        }
    }

    package var id: Int64
    package var kind: Kind
    /// A station, `STATION/CONNECTOR`, `LOCATION/EVSE`, `registry`, a reader of the journal or an app, or a campaign.
    package var subject: String
    package var detail: String
    package var raisedAt: Timestamp
    /// When what it tells of was over; nil: it goes on.
    package var endedAt: Timestamp?
    package var acknowledgedBy: String?
    package var acknowledgedAt: Timestamp?
    /// How much of it was told last, and when; nil: by an earlier version.
    var toldCount: Int64?
    var toldAt: Timestamp?
}

extension Alert {
    init(row: Row) throws {
        let kind = try row.text("kind")
        guard let known = Kind(rawValue: kind) else { throw UnknownKind(kind: kind) }
        self.init(
            id: try row.int64("id"), kind: known, subject: try row.text("subject"),
            detail: try row.text("detail"), raisedAt: try row.timestamp("raised_at"),
            endedAt: try row.timestampOrNil("ended_at"),
            acknowledgedBy: try row.textOrNil("acknowledged_by"),
            acknowledgedAt: try row.timestampOrNil("acknowledged_at"),
            toldCount: try row.int64OrNil("told_count"), toldAt: try row.timestampOrNil("told_at"))
    }

    /// A row of a later version.
    struct UnknownKind: Error {
        var kind: String
    }
}
