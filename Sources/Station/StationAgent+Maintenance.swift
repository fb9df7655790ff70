import Charging

extension MaintenanceAnswer {
    /// One word for the log.
    var summary: String {
        switch self {
        case .taken: "taken"
        case .log(let status, let name): status ?? name ?? "nothing"
        case .roots(let roots): "\(roots.count) roots"
        }
    }
}
