import HAL

extension BusError {
    /// The same trouble in a meter's words.
    package var asMeterError: MeterError {
        switch self {
        case .noAnswer: .noAnswer
        case .down(let why): .busDown(why)
        case .refused(let code): .refused(code: code)
        case .wrongAnswer(let what): .wrongAnswer(what)
        case .resting(let milliseconds): .resting(milliseconds: milliseconds)
        case .busy, .superseded: .busBusy
        case .closed: .busDown("closed")
        }
    }

    /// The same trouble in any other device's words.
    package var asDeviceError: DeviceError {
        switch self {
        case .noAnswer: .noAnswer
        case .down(let why): .busDown(why)
        case .refused(let code): .refused(code: code)
        case .wrongAnswer(let what): .damaged(what)
        case .resting(let milliseconds): .resting(milliseconds: milliseconds)
        case .busy, .superseded: .busBusy
        case .closed: .busDown("closed")
        }
    }
}
