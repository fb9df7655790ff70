import Charging
import JSON

/// A value of an access change that cannot be taken.
package struct AccessProblem: Error, Hashable, Sendable {
    package var field: String
    package var detail: String
}

/// What an operator changes of how a station proves itself; what is absent stays as it is.
struct AccessChange: Sendable {
    static let hours = 0...720
    static let usualHours = 24
    static let nameCharacters = 128
    private static let known: Set = [
        "strict", "securityProfile", "certificateName", "anyUser", "noSubprotocol", "timeZone",
        "password", "overlapHours", "lower",
    ]

    private enum Change<Value: Sendable>: Sendable {
        case keep
        case set(Value)
    }

    private var strict: Bool?
    private var anyUser: Bool?
    private var noSubprotocol: Bool?
    private var timeZone = Change<String?>.keep
    private var profile = Change<Int?>.keep
    private var certificateName = Change<String?>.keep
    private var password: String?
    private var overlapHours: Int
    private var lower: Bool

    /// - Throws: names the field, why, and what it takes.
    init(_ body: JSONValue) throws(AccessProblem) {
        if let stray = body.object?.keys.sorted().first(where: { !Self.known.contains($0) }) {
            throw AccessProblem(
                field: stray,
                detail: "is unknown; give \(Self.known.sorted().joined(separator: ", "))")
        }
        strict = try Self.truth("strict", body)
        anyUser = try Self.truth("anyUser", body)
        noSubprotocol = try Self.truth("noSubprotocol", body)
        if let value = body["timeZone"] {
            let name = value.string
            // Why it cannot be had is all one to whoever typed it.
            guard value.isNull || name.map({ (try? StationZone($0)) != nil }) == true else {
                throw AccessProblem(
                    field: "timeZone",
                    detail:
                        "must be a time zone that is known here, like Asia/Kolkata, or null for UTC"
                )
            }
            timeZone = .set(name)
        }
        lower = try Self.truth("lower", body) ?? false
        if let value = body["securityProfile"] {
            guard value.isNull || (0...3).contains(value.int ?? -1) else {
                throw AccessProblem(
                    field: "securityProfile",
                    detail: "must be 0, 1, 2 or 3, or null for the house's lowest or better")
            }
            profile = .set(value.int)
        }
        if let value = body["certificateName"] {
            let text = value.string ?? ""
            guard value.isNull || (1...Self.nameCharacters).contains(text.unicodeScalars.count)
            else {
                throw AccessProblem(
                    field: "certificateName",
                    detail: "must be the certificate's common name, at most "
                        + "\(Self.nameCharacters) characters, or null for the station's id")
            }
            certificateName = .set(value.string)
        }
        if let value = body["password"] {
            let text = value.string ?? ""
            guard Enrolment.passwordBytes.contains(text.utf8.count),
                text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
            else {
                throw AccessProblem(
                    field: "password", detail: "has 16 to 40 printable characters without blanks")
            }
            password = text
        }
        overlapHours = body["overlapHours"].map { $0.int ?? -1 } ?? Self.usualHours
        guard Self.hours.contains(overlapHours) else {
            throw AccessProblem(
                field: "overlapHours",
                detail: "must be from 0, which ends the old at once, to \(Self.hours.upperBound)")
        }
    }

    private static func truth(_ field: String, _ body: JSONValue) throws(AccessProblem) -> Bool? {
        guard let value = body[field] else { return nil }
        guard let bool = value.bool else {
            throw AccessProblem(field: field, detail: "must be true or false")
        }
        return bool
    }

    /// - Returns: what changed, as the audit tells it; a password is only said to have changed.
    /// - Parameter mayLower: the caller may weaken a station at all.
    /// - Parameter isWaiting: it stands in the inbox: nobody vouched for the password it came with.
    func apply(
        to access: inout StationAccess, at now: Timestamp, mayLower: Bool, isWaiting: Bool = false
    ) throws(AccessProblem) -> JSONValue {
        if password != nil, isWaiting { access.forgetPasswords() }
        let until = now.advanced(bySeconds: Int64(overlapHours) * 3600)
        var told: [String: JSONValue] = [:]
        if case .set(let wanted) = profile {
            try check(wanted, against: access, mayLower: mayLower)
            access.raise(to: wanted, until: until, at: now)
            // A person's word stands above what was seen.
            if lower, (wanted ?? 0) < access.provenProfile ?? 0 { access.provenProfile = nil }
            told["securityProfile"] = wanted.map { .number($0) } ?? .null
        }
        if let strict {
            access.isStrict = strict
            told["strict"] = .bool(strict)
        }
        if let anyUser {
            access.takesAnyUser = anyUser
            told["anyUser"] = .bool(anyUser)
        }
        if let noSubprotocol {
            access.takesNoSubprotocol = noSubprotocol
            told["noSubprotocol"] = .bool(noSubprotocol)
        }
        if case .set(let name) = timeZone {
            access.timeZone = name
            told["timeZone"] = name.map { .string($0) } ?? .null
        }
        if case .set(let name) = certificateName {
            access.certificateName = name
            told["certificateName"] = name.map { .string($0) } ?? .null
        }
        if let password {
            access.rotate(
                to: Array(password.utf8), until: overlapHours > 0 ? until : nil, at: now)
            told["password"] = "changed"
        }
        return .object(told)
    }

    /// A weaker profile is a person's deliberate act. OCPP 1.6 security white paper A00.FR.002.
    private func check(
        _ wanted: Int?, against access: StationAccess, mayLower: Bool
    ) throws(AccessProblem) {
        let present = access.securityProfile ?? access.provenProfile ?? 0
        guard (wanted ?? 0) < present else { return }
        // Any profile that is not weaker than the one it came by: nothing is lowered by that.
        if wanted == nil, access.securityProfile == nil, !lower { return }
        guard lower else {
            throw AccessProblem(
                field: "securityProfile",
                detail: "is \(present) already and is not lowered; an administrator may, with "
                    + "`lower`: true")
        }
        guard mayLower else {
            throw AccessProblem(field: "lower", detail: "needs the role admin")
        }
    }
}

extension StationAccess {
    /// As the operator sees it: no secret, nor what could be tried offline.
    package var shown: JSONValue {
        .members([
            "strict": .bool(isStrict), "anyUser": .bool(takesAnyUser),
            "noSubprotocol": .bool(takesNoSubprotocol),
            "timeZone": timeZone.map { .string($0) },
            "securityProfile": securityProfile.map { .number($0) },
            "provenProfile": provenProfile.map { .number($0) },
            "certificateName": certificateName.map { .string($0) },
            "hasPassword": .bool(verifier != nil), "cameFrom": cameFrom.map { .string($0) },
            "oldPasswordUntil": formers.filter { $0.verifier != nil }.map(\.until).max().map {
                .time($0)
            },
            "oldProfileUntil": formers.filter { $0.profile != nil }.map(\.until).max().map {
                .time($0)
            },
        ])
    }
}
