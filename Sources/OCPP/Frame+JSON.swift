import Charging
import JSON

extension Frame {
    private static let call = 2
    private static let result = 3
    private static let error = 4

    /// Reads a message's frame; the payload is found, not read.
    ///
    /// Taken besides the specification's form: a byte order mark, blanks, newlines and NULs around
    /// the message, ids that are numbers, a payload that is null or left out.
    package init(reading message: RawSpan) throws(FrameError) {
        let text = Self.trimmed(message)
        var found = Partial()
        if text.count != message.byteCount { found.deviations.insert(.paddedMessage) }
        let bytes = message.extracting(text)
        do throws(JSONError) {
            try Self.readHead(bytes, &found)
        } catch {
            throw found.failure("no RPC frame")
        }
        self = try found.frame(in: text)
    }

    /// What is known of a message while it is being read.
    private struct Partial {
        var type: Int?
        var id: MessageID?
        var action: String?
        var error: CallError?
        var payload: Range<Int>?
        var deviations = Deviations()

        func failure(_ why: String) -> FrameError {
            guard let type else { return .unreadable(why) }
            guard type == Frame.call || type == Frame.result || type == Frame.error else {
                return .unknownType(type, id)
            }
            guard type == Frame.call, let id else { return .unreadable(why) }
            return .answerable(id, CallError(.formationViolation, "the message is not a CALL"))
        }

        func frame(in text: Range<Int>) throws(FrameError) -> Frame {
            guard let type, let id else { throw .unreadable("no message type or id") }
            var deviations = deviations
            if id.isNumber { deviations.insert(.messageIDNotText) }
            if id.text.utf8.count > OCPPLimits.messageIDCharactersByTheBook {
                deviations.insert(.messageIDTooLong)
            }
            var payload = text.endIndex..<text.endIndex
            if let inner = self.payload {
                payload = inner.lowerBound + text.lowerBound..<inner.upperBound + text.lowerBound
            }
            if payload.isEmpty, type != Frame.error { deviations.insert(.payloadMissing) }
            switch type {
            case Frame.call:
                guard let action else { throw failure("no action") }
                return Frame(
                    .call(action: action), id: id, payload: payload, deviations: deviations)
            case Frame.result:
                return Frame(.result, id: id, payload: payload, deviations: deviations)
            case Frame.error:
                let error = error ?? CallError(.genericError, "")
                return Frame(.error(error), id: id, payload: payload, deviations: deviations)
            default: throw .unknownType(type, id)
            }
        }
    }

    private static func readHead(_ bytes: RawSpan, _ found: inout Partial) throws(JSONError) {
        var reader = JSONReader(bytes, limits: .ocpp)
        try reader.expect(UInt8(ascii: "["))
        found.type = try reader.int()
        try reader.expect(UInt8(ascii: ","))
        found.id = try messageID(&reader)
        guard found.type == call || found.type == result || found.type == error else { return }
        if found.type == call {
            try reader.expect(UInt8(ascii: ","))
            found.action = try reader.string()
        }
        guard try reader.accept(UInt8(ascii: ",")) else {
            try reader.expect(UInt8(ascii: "]"))
            try reader.finish()
            return
        }
        if found.type == error {
            try readError(&reader, &found)
            return
        }
        // The payload is whatever stands before the closing bracket; its reader checks it, once.
        _ = try reader.peek()
        guard bytes.byteCount > reader.offset,
            bytes.unsafeLoad(fromByteOffset: bytes.byteCount - 1, as: UInt8.self)
                == UInt8(ascii: "]")
        else { throw JSONError(.endOfText, at: bytes.byteCount) }
        found.payload = reader.offset..<bytes.byteCount - 1
    }

    private static func readError(_ reader: inout JSONReader, _ found: inout Partial)
        throws(JSONError)
    {
        let code = try reader.string()
        var description = ""
        if try reader.accept(UInt8(ascii: ",")) {
            if try !reader.acceptNull() { description = try reader.string() }
            // Details and whatever follows carry nothing a program decides by.
            while try reader.accept(UInt8(ascii: ",")) { try reader.skip() }
        }
        try reader.expect(UInt8(ascii: "]"))
        let known = CallError.Code(spelling: code)
        let kept = description.unicodeScalars.prefix(OCPPLimits.errorDescriptionCharacters)
        found.error = CallError(
            known ?? .genericError, String(String.UnicodeScalarView(kept)),
            foreignCode: known == nil ? String(code.prefix(64)) : nil)
    }

    private static func messageID(_ reader: inout JSONReader) throws(JSONError) -> MessageID {
        let id: MessageID
        if try reader.peek() == UInt8(ascii: "\"") {
            id = MessageID(try reader.string())
        } else {
            id = MessageID(reader.text(of: try reader.number()), isNumber: true)
        }
        guard id.text.utf8.count <= OCPPLimits.messageIDCharacters else {
            throw JSONError(.limit("messageIDCharacters"), at: reader.offset)
        }
        return id
    }

    /// The message without a byte order mark and without blanks and NULs around it.
    private static func trimmed(_ message: RawSpan) -> Range<Int> {
        func byte(_ at: Int) -> UInt8 { message.unsafeLoad(fromByteOffset: at, as: UInt8.self) }
        func isPadding(_ at: Int) -> Bool {
            let c = byte(at)
            return c == 0 || c == 0x20 || c == 0x0A || c == 0x0D || c == 0x09
        }
        var (start, end) = (0, message.byteCount)
        if end >= 3, byte(0) == 0xEF, byte(1) == 0xBB, byte(2) == 0xBF { start = 3 }
        while start < end, isPadding(start) { start += 1 }
        while end > start, isPadding(end - 1) { end -= 1 }
        return start..<end
    }

    // MARK: Writing

    /// `[2,"id","Action",{…}]`
    package static func call(_ id: MessageID, _ request: CallRequest) -> [UInt8] {
        var writer = JSONWriter(reserving: request.payload.count + 96)
        writer.beginArray()
        writer.int(call)
        write(id, &writer)
        writer.string(request.action)
        writer.raw(request.payload)
        writer.endArray()
        return writer.bytes
    }

    /// `[3,"id",{…}]`; `payload` writes exactly one object.
    package static func result(_ id: MessageID, _ payload: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter(reserving: 160)
        writer.beginArray()
        writer.int(result)
        write(id, &writer)
        payload(&writer)
        writer.endArray()
        return writer.bytes
    }

    /// `[4,"id","Code","description",{}]`
    package static func error(_ id: MessageID, _ error: CallError, in version: ProtocolVersion)
        -> [UInt8]
    {
        var writer = JSONWriter(reserving: 160)
        writer.beginArray()
        writer.int(Self.error)
        write(id, &writer)
        writer.string(error.code.spelled(in: version))
        writer.string(
            String(
                String.UnicodeScalarView(
                    error.description.unicodeScalars.prefix(OCPPLimits.errorDescriptionCharacters)))
        )
        writer.object { _ in }
        writer.endArray()
        return writer.bytes
    }

    private static func write(_ id: MessageID, _ writer: inout JSONWriter) {
        if id.isNumber, let number = JSONNumber(id.text) {
            writer.number(number)
        } else {
            writer.string(id.text)
        }
    }
}
