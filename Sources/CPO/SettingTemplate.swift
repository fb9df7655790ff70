import Charging
import JSON

/// What the settings of every station of a model are to be.
package struct SettingTemplate: Hashable, Sendable {
    package struct Setting: Hashable, Sendable, Stored {
        /// OCPP's name; found ignoring case.
        package var key: String
        package var value: String

        package init(key: String, value: String) {
            self.key = key
            self.value = value
        }

        package var stored: JSONValue { ["key": .string(key), "value": .string(value)] }

        package init(stored: JSONValue) throws {
            key = try stored.text("key")
            value = try stored.text("value")
        }
    }

    package static let settingCounts = 1...200
    /// OCPP 1.6 §7.6, §6.7: longer ones reach no station.
    package static let keyCharacters = 1...50
    package static let valueCharacters = 500
    /// Changed where their own rules are kept: a template would lock stations out, or show a secret.
    package static let forbiddenKeys: Set = ["authorizationkey", "securityprofile"]

    package var id: String
    package var vendor: String
    package var model: String
    package var settings: [Setting]
    package var changedAt: Timestamp

    package init(
        id: String, vendor: String, model: String, settings: [Setting], changedAt: Timestamp
    ) {
        self.id = id
        self.vendor = vendor
        self.model = model
        self.settings = settings
        self.changedAt = changedAt
    }

    /// Whether a station means the same: lists and truth values have more than one spelling.
    package static func isSame(_ one: String, _ other: String) -> Bool {
        func plain(_ text: String) -> [String] {
            text.split(separator: ",", omittingEmptySubsequences: false).map { part in
                let part = String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
                let small = part.lowercased()
                return small == "true" || small == "false" ? small : part
            }
        }
        return plain(one) == plain(other)
    }
}

/// One wanted setting beside what the station has.
package struct SettingDrift: Hashable, Sendable {
    package enum State: String, Hashable, Sendable {
        /// Not asked for yet.
        case unread
        case same
        case differs
        /// The station does not know the key.
        case notSupported
        /// The station took it, and it counts after its next restart.
        case rebootRequired
    }

    package var key: String
    package var wanted: String
    package var found: String?
    package var isReadOnly = false
    package var readAt: Timestamp?
    /// What the station said to the last change, and when.
    package var answer: String?
    package var answeredAt: Timestamp?

    package var state: State {
        if answer == "NotSupported" { return .notSupported }
        guard readAt != nil else { return .unread }
        guard let found else { return .notSupported }
        if SettingTemplate.isSame(found, wanted) { return .same }
        if answer == "RebootRequired", let answeredAt, let readAt, answeredAt >= readAt {
            return .rebootRequired
        }
        return .differs
    }
}
