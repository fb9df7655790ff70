import JSON

extension CommandBody {
    /// A connector, by either name.
    private static let plug: Set = ["evse", "connector"]
    private static let transfer: Set = ["location", "retries", "retrySeconds"]
    /// Of firmware only with a signature.
    private static let signed: Set = ["request", "installAt", "certificate"]

    /// What each command takes. What is not listed is refused: a new member of a command comes here, too.
    static let members: [String: Set<String>] = [
        "start": plug.union(["token", "unknownToken"]), "stop": ["session"], "unlock": plug,
        "reset": ["kind"],
        "setAvailability": plug.union(["operative", "at"]), "changeSetting": ["key", "value"],
        "getSettings": ["keys"], "clearCache": [], "trigger": plug.union(["message"]),
        "setLimit": plug.union(["amperes", "watts", "until", "stackLevel"]), "clearLimits": plug,
        "getComposite": plug.union(["seconds", "unit"]),
        "reserve": plug.union(["token", "expires", "reservation"]),
        "cancelReservation": ["reservation"], "sendLocalList": ["kind", "version", "entries"],
        "getLocalListVersion": [], "data": ["vendor", "message", "data"],
        "updateFirmware": transfer.union(signed).union(["retrieveAt", "signature"]),
        "sendLog": transfer.union(["kind", "request", "from", "until"]),
        "certificateSigned": ["chain"], "installRoot": ["kind", "certificate"],
        "deleteCertificate": ["algorithm", "issuerName", "issuerKey", "serial"],
        "listRoots": ["kind"], "extendedTrigger": plug.union(["message"]),
    ]
    static let entryMembers: Set = ["token", "status", "group", "expires"]

    static let known =
        "must be \(members.keys.sorted().joined(separator: ", ")); or send `action` and `payload`"

    static func refuseStrangers(_ body: JSONValue) throws(APIProblem) {
        guard body["action"]?.string == nil else {
            return try body.refuseStrangers(["action", "payload"])
        }
        guard let name = body["command"]?.string, var known = members[name] else {
            throw .field("command", Self.known)
        }
        // Unsigned firmware has none of these: a signature that was forgotten is no wish for that.
        if name == "updateFirmware", body.given("signature") == nil { known.subtract(signed) }
        try body.refuseStrangers(known.union(["command"]))
    }
}
