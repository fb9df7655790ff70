import Charging
import Glibc
import HAL
import JSON
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(2))) struct `The status socket` {
    let folder = TemporaryFolder()

    @Test func `answers one line with one line and can be opened by its owner only`() async throws {
        let path = folder.file("status.sock")
        let socket = try StatusSocket(path: path)
        #expect(try FileSystem.mode(of: path) == 0o600)
        async let answering: Void = {
            for await question in socket.questions {
                question.answer("you said \(question.line)")
                break
            }
        }()
        let answer = try await onThread { try StatusSocket.ask("status", at: path) }
        await answering
        #expect(answer == "you said status")
        socket.close()
    }

    @Test func `answers again once the board has descriptors left`() async throws {
        let path = folder.file("status.sock")
        let refusals = Lock([EMFILE, ENFILE])
        let socket = try StatusSocket(path: path) { listener in
            guard let code = refusals.withLock({ $0.popLast() }) else {
                return accept(listener, nil, nil)
            }
            errno = code
            return -1
        }
        async let answering: Void = {
            for await question in socket.questions {
                question.answer("here")
                break
            }
        }()
        let answer = try await onThread { try StatusSocket.ask("status", at: path) }
        await answering
        #expect(answer == "here")
        socket.close()
    }

    @Test func `takes the place of a socket that a dead agent left`() throws {
        let path = folder.file("status.sock")
        _ = try StatusSocket(path: path)
        try StatusSocket(path: path).close()
    }

    @Test func `says when nobody listens`() throws {
        #expect(throws: StatusSocket.SocketError.unreachable(folder.file("no.sock"))) {
            _ = try StatusSocket.ask("status", at: folder.file("no.sock"))
        }
    }

    /// The asking side blocks, so it gets a thread of its own.
    private func onThread(_ body: @escaping @Sendable () throws -> String) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            _ = NativeThread.start("asking") {
                continuation.resume(with: Result { try body() })
            }
        }
    }
}

@Suite struct `A connector's view` {
    @Test func `names every reason against energy and hides most of a token`() throws {
        var bench = BenchBoard.ready()
        var json = bench.machine.view(at: bench.now, meterError: nil).json
        #expect(json["energyAllowed"] == false)
        let reasons = (json["hindrances"]?.array ?? []).compactMap(\.string)
        #expect(reasons.contains("no car connected"))
        #expect(reasons.contains("no authorised transaction"))
        bench = BenchBoard.charging()
        json = bench.machine.view(at: bench.now, meterError: nil).json
        #expect(json["energyAllowed"] == true)
        #expect(json["charge"]?["token"] == "TAG")
        #expect(json["contactor"] == "closed")
        #expect(json["signal"] == "PWM 32 A")
    }

    @Test func `is unavailable until the board has read its inputs`() {
        let bench = BenchBoard()
        #expect(
            bench.machine.view(at: bench.now, meterError: nil).status.status == .unavailable)
    }
}
