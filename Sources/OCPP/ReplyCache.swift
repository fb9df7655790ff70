/// The last answers of one connection, so that a repeated call gets the same bytes and runs once.
///
/// Calls of one station are handled in order, so a repetition is looked up only after the first is
/// answered. The same id with another payload is a new message: some stations restart counters.
package struct ReplyCache: Sendable {
    package enum Finding: Hashable, Sendable {
        case new
        /// The answer given before, byte for byte.
        case repeated([UInt8])
        /// The id was used for another message.
        case reused
    }

    private struct Entry {
        var id: MessageID
        /// Compared first: most ids are as long as each other and differ late.
        var hash: Int
        var fingerprint: Int
        var reply: [UInt8]
    }

    private var entries: [Entry] = []
    private var next = 0
    private var bytes = 0

    package init() {}

    /// A hash of a whole message, word by word; it tells one station's messages apart, no more.
    package static func fingerprint(of message: RawSpan) -> Int {
        var hash = UInt64(truncatingIfNeeded: message.byteCount) &* 0x9E37_79B9_7F4A_7C15
        var at = 0
        while at &+ 8 <= message.byteCount {
            let word = message.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
            hash = (hash ^ word) &* 0xFF51_AFD7_ED55_8CCD
            hash ^= hash >> 32
            at &+= 8
        }
        while at < message.byteCount {
            let byte = message.unsafeLoad(fromByteOffset: at, as: UInt8.self)
            hash = (hash ^ UInt64(byte)) &* 0xC4CE_B9FE_1A85_EC53
            at &+= 1
        }
        return Int(truncatingIfNeeded: hash ^ (hash >> 29))
    }

    package func find(_ id: MessageID, fingerprint: Int) -> Finding {
        let hash = id.text.hashValue
        var isReused = false
        for index in entries.indices where entries[index].hash == hash {
            guard entries[index].id == id else { continue }
            if entries[index].fingerprint == fingerprint { return .repeated(entries[index].reply) }
            isReused = true
        }
        return isReused ? .reused : .new
    }

    package mutating func remember(_ id: MessageID, fingerprint: Int, reply: [UInt8]) {
        guard reply.count <= OCPPLimits.rememberedReplyBytes else { return }
        let entry = Entry(
            id: id, hash: id.text.hashValue, fingerprint: fingerprint, reply: reply)
        if entries.count < OCPPLimits.rememberedReplies {
            entries.append(entry)
            bytes += reply.count
        } else {
            bytes += reply.count - entries[next].reply.count
            entries[next] = entry
            next = (next + 1) % OCPPLimits.rememberedReplies
        }
        if bytes > OCPPLimits.rememberedReplyBytes {
            entries = [entry]
            next = 0
            bytes = reply.count
        }
    }
}
