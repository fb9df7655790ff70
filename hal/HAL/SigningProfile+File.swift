import Service

extension SigningProfile {
    /// Reads the section `signing` of a meter's file; what is wrong is noted in the section.
    init(_ section: ConfigSection) {
        let state = section.section("state")
        let status = section.section("status")
        self.init(
            format: section.text("format"),
            state: State(
                address: state.register("address") ?? 0, idle: state.word("idle"),
                active: state.word("active"), interrupted: state.word("interrupted")),
            status: Status(
                address: status.register("address") ?? 0, ready: status.word("ready"),
                errorsFrom: status.word("errorsFrom")),
            metadata: section.text("metadata"),
            metadataPlace: Text(section.section("metadataPlace")),
            record: Text(section.section("record")),
            signature: Text(section.section("signature")),
            begin: section.list("begin", atLeast: 1, atMost: Self.mostSteps) { Step($0) },
            end: section.list("end", atLeast: 1, atMost: Self.mostSteps) { Step($0) },
            endAfterInterruption: section.list(
                "endAfterInterruption", atLeast: 1, atMost: Self.mostSteps
            ) { Step($0) })
        if format != "OCMF" {
            section.problem("format", "`\(format)` is not known; give OCMF")
        }
    }

    private static let mostSteps = 16
}

extension SigningProfile.Text {
    fileprivate init(_ section: ConfigSection) {
        self.init(
            lengthAddress: section.register("lengthAddress") ?? 0,
            address: section.register("address") ?? 0,
            mostBytes: section.int("mostBytes", in: 2...8192))
    }
}

extension SigningProfile.Step {
    private enum What: String, CaseIterable, Sendable { case value, time, metadata }

    fileprivate init(_ section: ConfigSection) {
        let what = section.choice("write", default: What.value)
        let address = section.textOrNil("address") == nil ? nil : section.register("address")
        let value = section.textOrNil("value") == nil ? nil : section.word("value")
        switch what {
        case .metadata: self = .writeMetadata
        case .time: self = .writeTime(address: address ?? 0)
        case .value: self = .write(address: address ?? 0, value: value ?? 0)
        }
        if what != .metadata, address == nil {
            section.problem("address", "a step writes to a register: `address: 7051`")
        }
        if what == .value, value == nil {
            section.problem("value", "a step writes something: `value: 0x4200`, or `write: time`")
        }
    }
}
