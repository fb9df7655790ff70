import HAL

extension BoardCapabilities {
    /// True where a feedback tells what the contactor did. What a board cannot sense, the gate
    /// cannot ask for.
    var hasMirror: Bool {
        switch feedback {
        case .none: false
        case .normallyOpen, .normallyClosed, .coilOnly: true
        }
    }

    var mirrorFollows: Int64 { Int64(feedbackFollowsMilliseconds) }
}
