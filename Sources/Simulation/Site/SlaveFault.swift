import Service

/// A fault on purpose.
package struct SlaveFault: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// No answer.
        case silence
        /// The right answer, `milliseconds` late, while the next question may already be there.
        case late
        /// An exception with `code`.
        case exception
        /// The answer carries the next unit's number.
        case wrongUnit
        /// The check sum is wrong. On TCP, which has none, the transaction's number.
        case checkSum
        /// The last three bytes are missing.
        case truncated
        /// Forty meaningless bytes before the right answer.
        case garbage
        /// The question comes back before the answer: a half-duplex adapter that hears itself.
        case echo
    }

    package var kind: Kind
    /// How many requests it strikes; nil: all, until it is taken back.
    package var requests: Int?
    package var milliseconds: Int
    package var code: Int

    package init(_ kind: Kind, requests: Int? = 1, milliseconds: Int = 250, code: Int = 4) {
        self.kind = kind
        self.requests = requests
        self.milliseconds = milliseconds
        self.code = code
    }
}

/// The units of one simulated bus: who answers, and how badly.
package final class SlaveUnits: Sendable {
    package let devices: [Int: any SlaveDevice]
    private let script = Lock(Script())

    private struct Script: Sendable {
        var faults: [Int: SlaveFault] = [:]
        var requests: [Int: Int] = [:]
        var log: [[UInt8]] = []
    }

    /// Requests that are remembered for tests.
    package static let remembered = 1000

    package init(_ devices: [Int: any SlaveDevice]) { self.devices = devices }

    /// Makes one unit misbehave from the next request on; nil heals it.
    package func suffer(_ fault: SlaveFault?, unit: Int) {
        script.withLock { $0.faults[unit] = fault }
    }

    package func requests(of unit: Int) -> Int { script.withLock { $0.requests[unit] ?? 0 } }

    /// Unit and data of the latest requests, oldest first.
    package var log: [[UInt8]] { script.withLock { $0.log } }

    /// What goes out for a request, and the fault that shapes it; nil answer for an absent unit.
    func answer(unit: Int, _ pdu: [UInt8]) -> (pdu: [UInt8], fault: SlaveFault?)? {
        guard let device = devices[unit] else { return nil }
        let fault = script.withLock { script -> SlaveFault? in
            script.requests[unit, default: 0] += 1
            script.log.append([UInt8(unit)] + pdu)
            if script.log.count > Self.remembered { script.log.removeFirst() }
            guard var fault = script.faults[unit] else { return nil }
            if let left = fault.requests {
                fault.requests = left - 1
                script.faults[unit] = left > 1 ? fault : nil
            }
            return fault
        }
        if fault?.kind == .exception, let function = pdu.first {
            return ([function | 0x80, UInt8(clamping: fault?.code ?? 4)], nil)
        }
        // A unit that is silent is dead: what it was asked to do is not done either.
        if fault?.kind == .silence { return ([], fault) }
        return (SlaveAnswering.answer(pdu, by: device), fault)
    }
}
