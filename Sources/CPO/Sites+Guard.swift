import Charging
import JSON

// What may not be told from elsewhere.

extension Sites {
    /// Refuses what would take a shared connector's limit away: its current is given from here.
    func check(_ command: StationCommand, at station: String) throws {
        let shared = outlets(of: station)
        guard !shared.isEmpty else { return }
        func isShared(_ connector: ConnectorNumber?) -> Bool {
            guard let connector, connector > 0 else { return true }
            return shared.contains(connector)
        }
        let isRefused: Bool
        switch command {
        case .startLimited(let connector, _, let profile):
            isRefused = isShared(connector) || GridProfile.isOurs(profile.id)
        case .setProfile(let connector, let profile):
            // One with an id of ours would take the place of ours, wherever it is put.
            isRefused =
                profile.purpose != .stationMaximum && isShared(connector)
                || GridProfile.isOurs(profile.id)
        case .clearProfiles(let filter):
            isRefused = clears(filter.id, filter.connector, filter.purpose?.rawValue, isShared)
        case .foreign(let action, let payload):
            isRefused = changesShared(action, payload, isShared)
        default: isRefused = false
        }
        if isRefused { throw CommandRefusal.shared }
    }

    private func clears(
        _ id: Int?, _ connector: Int?, _ purpose: String?, _ isShared: (Int?) -> Bool
    ) -> Bool {
        if let id { return GridProfile.isOurs(id) }
        // Ours lie on the connectors themselves, but not every station tells 0 from none.
        guard connector != 0 else {
            return purpose != ChargingProfile.Purpose.stationMaximum.rawValue
        }
        return isShared(connector)
            && (purpose == nil || purpose == ChargingProfile.Purpose.transactionDefault.rawValue)
    }

    private static func isOurs(_ profile: JSONValue?) -> Bool {
        number(profile?["chargingProfileId"]).map(GridProfile.isOurs) ?? false
    }

    /// A number as stations read it: as text, too, and without its fraction.
    private static func number(_ value: JSONValue?) -> Int? {
        (value?.decimal ?? value?.string.flatMap { Decimal($0) })?.floor.map { Int($0) }
    }

    /// The raw hatch speaks OCPP; only what these three actions say of connector and purpose counts.
    private func changesShared(
        _ action: String, _ payload: String, _ isShared: (Int?) -> Bool
    ) -> Bool {
        // What is no JSON the station will refuse.
        guard let body = try? JSONValue(parsing: payload) else { return false }
        switch action.lowercased() {
        case "setchargingprofile":
            let profile = body["csChargingProfiles"]
            let purpose = profile?["chargingProfilePurpose"]?.string
            return purpose != ChargingProfile.Purpose.stationMaximum.rawValue
                && isShared(Self.number(body["connectorId"])) || Self.isOurs(profile)
        case "clearchargingprofile":
            return clears(
                Self.number(body["id"]), Self.number(body["connectorId"]),
                body["chargingProfilePurpose"]?.string, isShared)
        case "remotestarttransaction":
            guard let profile = body["chargingProfile"] else { return false }
            return isShared(Self.number(body["connectorId"])) || Self.isOurs(profile)
        default: return false
        }
    }
}
