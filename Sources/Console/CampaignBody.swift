/// The members of a campaign's bodies.
enum CampaignBody {
    static let members: Set = [
        "name", "image", "stations", "vendor", "model", "firmware", "location", "waves",
        "pauseAfterFailures", "tries", "retryMinutes", "deadlineMinutes", "waitHours", "signed",
        "anyModel",
    ]

    static func members(of act: String) -> Set<String> {
        switch act {
        case "skip": ["station"]
        case "rollback": ["image", "anyModel"]
        default: []
        }
    }
}
