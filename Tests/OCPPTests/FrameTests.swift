import JSON
import Testing

@testable import OCPP

@Suite struct `A frame` {
    private func read(_ text: String) throws(FrameError) -> (frame: Frame, payload: String) {
        let bytes = Array(text.utf8)
        let frame = try Frame(reading: bytes.span.bytes)
        return (frame, String(decoding: bytes[frame.payload], as: UTF8.self))
    }

    private func failure(_ text: String) -> FrameError? {
        do throws(FrameError) {
            _ = try read(text)
            return nil
        } catch { return error }
    }

    @Test func `finds the payload of a call where it lies`() throws {
        let (frame, payload) = try read(#"[2,"id-1","Heartbeat", {"a":[1]} ]"#)
        #expect(frame.kind == .call(action: "Heartbeat"))
        #expect(frame.id == MessageID("id-1"))
        #expect(payload == #"{"a":[1]} "#)
        #expect(frame.deviations.isEmpty)
    }

    @Test func `reads results and errors`() throws {
        #expect(try read(#"[3,"x",{}]"#).frame.kind == .result)
        let (frame, _) = try read(#"[4,"x","FormatViolation","no",{"why":1}]"#)
        #expect(frame.kind == .error(CallError(.formationViolation, "no")))
        let (foreign, _) = try read(#"[4,"x","Whatever"]"#)
        #expect(foreign.kind == .error(CallError(.genericError, "", foreignCode: "Whatever")))
    }

    @Test func `echoes an id in the type it came in`() throws {
        let (frame, _) = try read(#"[2,1700,"Heartbeat",{}]"#)
        #expect(frame.deviations == Deviations(.messageIDNotText))
        let answer = Frame.result(frame.id) { $0.object { _ in } }
        #expect(String(decoding: answer, as: UTF8.self) == "[3,1700,{}]")
    }

    @Test(arguments: [
        "\u{FEFF}[2,\"a\",\"Heartbeat\",{}]", "[2,\"a\",\"Heartbeat\",{}]\n\0",
        " [2,\"a\",\"Heartbeat\",{}] ",
    ])
    func `forgives what stands around it`(_ text: String) throws {
        let (frame, payload) = try read(text)
        #expect(frame.deviations == Deviations(.paddedMessage))
        #expect(payload == "{}")
    }

    @Test func `takes a call without payload`() throws {
        let (frame, payload) = try read(#"[2,"a","Heartbeat"]"#)
        #expect(payload == "")
        #expect(frame.deviations == Deviations(.payloadMissing))
    }

    @Test(arguments: [
        #"[2,"a","Heartbeat",{"#, #"[2,"a","Heartbeat""#, #"[2,"a""#, #"[2,"a",7,{}]"#,
        #"[2,"a"]"#,
    ])
    func `can be answered when only its id is readable`(_ text: String) {
        guard case .answerable(let id, let error) = failure(text) else {
            Issue.record("not answerable: \(text)")
            return
        }
        #expect(id == MessageID("a"))
        #expect(error.code == .formationViolation)
    }

    @Test(arguments: ["", "hello", "{}", "[]", "[2]", "[2,null,\"Heartbeat\",{}]", "[3,"])
    func `cannot be answered without an id`(_ text: String) {
        guard case .unreadable = failure(text) else {
            Issue.record("not unreadable: \(text)")
            return
        }
    }

    @Test func `of an unknown type keeps its id`() {
        #expect(
            failure(#"[6,"s","NotifyPeriodicEventStream",{}]"#) == .unknownType(6, MessageID("s")))
    }

    @Test func `spells codes as its version does`() {
        let error = CallError(.formationViolation, "no")
        #expect(
            String(decoding: Frame.error(MessageID("a"), error, in: .v16), as: UTF8.self)
                == #"[4,"a","FormationViolation","no",{}]"#)
        #expect(CallError.Code.formationViolation.spelled(in: .v201) == "FormatViolation")
        #expect(
            CallError.Code.occurrenceViolation.spelled(in: .v16) == "OccurenceConstraintViolation")
        for version in ProtocolVersion.allCases {
            for code in CallError.Code.allCases {
                #expect(CallError.Code(spelling: code.spelled(in: version)) != nil)
            }
        }
    }

    @Test func `survives every cut and every flipped byte`() {
        let whole = Array(#"[2,"a\u00e9","MeterValues",{"a":[1,"x",null,true,-1.5e3]}]"#.utf8)
        // A cut behind a bracket leaves a frame whose payload its own reader refuses.
        for end in 0..<whole.count where end == 0 || whole[end - 1] != UInt8(ascii: "]") {
            let cut = Array(whole[..<end])
            #expect(throws: FrameError.self) { try Frame(reading: cut.span.bytes) }
        }
        for at in whole.indices {
            for bit in 0..<8 {
                var flipped = whole
                flipped[at] ^= 1 << bit
                // Only that it comes back matters here.
                _ = try? Frame(reading: flipped.span.bytes)
            }
        }
    }
}

@Suite struct `A set of deviations` {
    @Test func `knows what a strict station is answered`() {
        var deviations = Deviations(.unknownField, .textTooLong)
        #expect(deviations.contains(.unknownField))
        #expect(deviations.all == [.unknownField, .textTooLong])
        #expect(deviations.strictCode == .formationViolation)
        deviations.remove(.unknownField)
        #expect(deviations.strictCode == .propertyViolation)
        #expect(Deviation.allCases.count <= 64)
    }
}
