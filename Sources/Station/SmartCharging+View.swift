import Charging
import JSON
import Service

/// The limits in force and whose they are, for `kerb-edge status`.
package struct SmartChargingView: Hashable, Sendable {
    package struct Limit: Hashable, Sendable {
        /// `wiring`, `site`, or the profile with its purpose.
        package var whose: String
        package var limit: Amperes
        package var note: String?
    }

    package var limits: [ConnectorNumber: [Limit]]
    /// `free`, `shared` or `safe`.
    package var state: String
    package var fuse: Amperes
    /// What other consumers draw; nil without a site meter, or while it is silent.
    package var others: PhaseCurrents?
    package var fileLimit: SiteLimitReading
    /// A person's, by `kerb-edge limit`.
    package var socketLimit: PhaseCurrents?
    package var stationMaximum: InstalledProfiles.Limit?
    package var profiles: Int
    /// Damage took one of them: see `SmartCharging.lostProfilesText`.
    package var areProfilesLost = false

    package var json: JSONValue {
        var connectors: [String: JSONValue] = [:]
        for (number, list) in limits {
            connectors[String(number)] = .array(
                list.map {
                    .members([
                        "whose": .string($0.whose),
                        "amperes": .number($0.limit.decimal.reduced),
                        "note": $0.note.map(JSONValue.string),
                    ])
                })
        }
        var file: JSONValue?
        switch fileLimit {
        case .none: break
        case .limit(let limit): file = limit.currents.json
        case .unreadable(let why): file = .string(why)
        }
        return .members([
            "connectors": .object(connectors), "state": .string(state),
            "fuseAmperes": .number(fuse.decimal.reduced),
            "othersAmperes": others?.json, "fileLimitAmperes": file,
            "socketLimitAmperes": socketLimit?.json,
            "stationMaximumAmperes": stationMaximum.map { .number($0.limit.decimal.reduced) },
            "profiles": .number(profiles), "profilesLost": .bool(areProfilesLost),
        ])
    }
}

extension PhaseCurrents {
    var json: JSONValue {
        .array(all.map { .number(Amperes(milliamperes: $0).decimal.reduced) })
    }
}

extension SmartCharging {
    /// Whose word the site's limit is.
    private var siteNote: String {
        let doubts = [
            areProfilesDoubted
                ? "a limit of the operator may be lost (`kerb-edge limit off` ends this)" : nil,
            isHeldLimitUnread ? "the local limit is lost" : nil,
            holdsLeast ? "each outlet has its least, `safeAmperes` is not below the fuse" : nil,
        ]
        return ([limitNote] + doubts.compactMap(\.self)).joined(separator: "; ")
    }

    private var limitNote: String {
        var limits: [(least: Int64, whose: String)] = []
        if let held = heldLimit?.currents.all.min() { limits.append((held, "`kerb-edge limit`")) }
        if case .limit(let limit) = fileLimit, !isOver(limit), let least = limit.currents.all.min()
        {
            limits.append((least, "`site.limitFile`"))
        }
        guard let (least, whose) = limits.min(by: { $0.least < $1.least }) else {
            return site.rawValue
        }
        let amperes = Amperes(milliamperes: least).decimal.reduced
        return "\(site.rawValue), local limit \(amperes) A by \(whose)"
    }

    package func view() -> SmartChargingView {
        var limits: [ConnectorNumber: [SmartChargingView.Limit]] = [:]
        for outlet in settings.outlets {
            var list = [SmartChargingView.Limit(whose: "wiring", limit: outlet.maximum)]
            if let applied = applied[outlet.connector] {
                if let limit = applied.site {
                    list.append(.init(whose: "site", limit: limit, note: siteNote))
                }
                if let profile = applied.profile {
                    list.append(
                        .init(
                            whose: "profile \(profile.profile) (\(profile.purpose.rawValue))",
                            limit: profile.limit,
                            note: applied.isLifted ? "lifted, the operator is away" : nil))
                }
            }
            limits[outlet.connector] = list
        }
        return SmartChargingView(
            limits: limits, state: site.rawValue, fuse: settings.fuse,
            others: siteLoad.others(at: clock.monotonicMilliseconds), fileLimit: fileLimit,
            socketLimit: heldLimit?.currents, stationMaximum: stationMaximum(at: clock.now),
            profiles: profiles.entries.count, areProfilesLost: areProfilesDoubted)
    }
}
