/// What a person or key may do. Each role may do all that the ones before it may.
package enum Role: String, Hashable, Sendable, CaseIterable, Comparable {
    /// Sees everything but users, keys and the audit list.
    case viewer
    /// Also commands stations and decides what waits for a person.
    case `operator`
    /// Also changes what is sold, to whom, and who may log in.
    case admin

    /// Stations that an operator's order may reach at once, by a campaign or a template; more of them is
    /// an admin's decision.
    package static let mostStationsOfAnOperator = 50

    package static func < (a: Role, b: Role) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .viewer: 0
        case .operator: 1
        case .admin: 2
        }
    }
}
