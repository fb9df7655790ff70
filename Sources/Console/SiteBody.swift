import JSON

/// The members of a site as `PUT /sites/{id}` takes them; `FuseTree` reads their values.
enum SiteBody {
    /// `state` and `limits` stand in an answer, and what is got can be changed and put again.
    private static let tree: Set = [
        "id", "name", "timeZone", "volts", "nodes", "connectors", "limits", "state",
    ]
    private static let node: Set = ["id", "name", "parent", "amperes", "watts", "windows"]
    private static let connector: Set = [
        "station", "connector", "node", "wiring", "amperes", "minimumAmperes", "offlineAmperes",
        "priority", "unit",
    ]
    private static let window: Set = ["days", "from", "until", "amperes", "watts"]
    private static let limit: Set = ["amperes", "watts", "validFrom", "validTo", "source"]
    /// One in an answer has all of these.
    private static let shownLimit: Set = ["node", "source", "validFrom", "validTo"]
    private static let phases: Set = ["L1", "L2", "L3"]

    static func refuseStrangers(_ body: JSONValue) throws(APIProblem) {
        try body.refuseStrangers(tree)
        for node in body.items("nodes") {
            try node.value.refuseStrangers(self.node, at: node.path)
            try refusePhases(node.value, node.path)
            try refuseWindows(node.value, node.path)
        }
        for connector in body.items("connectors") {
            try connector.value.refuseStrangers(self.connector, at: connector.path)
        }
        guard let limits = body.given("limits") else { return }
        // One that was got may have ended meanwhile.
        guard let list = limits.array, list.allSatisfy(isShown) else {
            throw .field(
                "limits", "are put at their node (PUT /sites/ID/nodes/NODE/limit): leave them out")
        }
    }

    private static func isShown(_ limit: JSONValue) -> Bool {
        guard let members = limit.object else { return false }
        return shownLimit.allSatisfy { members[$0]?.string != nil }
            && members.keys.allSatisfy { Self.limit.contains($0) || shownLimit.contains($0) }
    }

    /// Of a limit on a node for a while.
    static func refuseStrangers(ofLimit body: JSONValue) throws(APIProblem) {
        try body.refuseStrangers(limit)
        try refusePhases(body, "")
    }

    static func refuseWindows(_ value: JSONValue, _ path: String) throws(APIProblem) {
        for window in value.items("windows", at: path) {
            try window.value.refuseStrangers(self.window, at: window.path)
            try refusePhases(window.value, window.path)
        }
    }

    private static func refusePhases(_ value: JSONValue, _ path: String) throws(APIProblem) {
        guard let amperes = value["amperes"], amperes.object != nil else { return }
        try amperes.refuseStrangers(phases, at: path.isEmpty ? "amperes" : "\(path).amperes")
    }
}

/// The members of a charging profile as `PUT /stations/{id}/profiles/{name}` takes them; `ProfilePlan`
/// reads their values.
enum ProfileBody {
    private static let common: Set = [
        "connector", "purpose", "session", "stackLevel", "validFrom", "validTo",
    ]
    /// What an answer has besides.
    private static let shown: Set = [
        "name", "profileID", "source", "state", "answer", "toldAt", "changedAt",
    ]
    private static let byWindows: Set = ["windows", "unit", "otherwise"]
    private static let bySchedule: Set = ["kind", "recurrence", "schedule"]
    private static let schedule: Set = [
        "unit", "periods", "durationSeconds", "start", "minimumRate",
    ]
    private static let period: Set = ["start", "limit", "phases"]

    static func refuseStrangers(_ body: JSONValue) throws(APIProblem) {
        let content = body["windows"] == nil ? bySchedule : byWindows
        try body.refuseStrangers(common.union(shown).union(content))
        try SiteBody.refuseWindows(body, "")
        guard let schedule = body.given("schedule"), schedule.object != nil else { return }
        try schedule.refuseStrangers(self.schedule, at: "schedule")
        for period in schedule.items("periods", at: "schedule") {
            try period.value.refuseStrangers(self.period, at: period.path)
        }
    }
}
