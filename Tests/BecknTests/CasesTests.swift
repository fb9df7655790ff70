import Charging
import JSON
import TestSupport
import Testing

@testable import Beckn

@Suite struct `The collected requests` {
    private static let requests = BecknAction.allCases.flatMap { action in
        Cases.list("beckn/v1.1/\(action.rawValue)").map { (action, $0) }
    }

    @Test func `are there, or their folder is named`() {
        if Self.requests.isEmpty { print("no cases at \(Cases.folder)") }
        #expect(Self.requests.isEmpty || Self.requests.count > 40)
    }

    /// As they lie there: answered, or refused with the path of what is wrong.
    @Test func `are each answered or refused with a path`() async throws {
        let net = try await Network()
        for (action, file) in Self.requests {
            let body = try #require(Cases.read(file))
            let answer = try await net.post(action.rawValue, body)
            #expect([200, 400, 401].contains(answer.status), "\(file)")
            if answer.status == 400 {
                #expect(answer.body["error"]?["paths"]?.string?.hasPrefix("$") == true, "\(file)")
            }
        }
    }

    /// With a context that is ours, so that the messages themselves are read.
    @Test func `are each answered or refused for their message`() async throws {
        let net = try await Network { $0.domains.append("*") }
        var acknowledged = 0
        for (index, (action, file)) in Self.requests.enumerated() {
            var json = try JSONValue(parsing: try #require(Cases.read(file)))
            json["context"] = Network.context(
                action.rawValue, app: net.app, transaction: "t-\(index)", message: "m-\(index)",
                at: net.clock.now)
            let answer = try await net.post(action.rawValue, json.encoded())
            let callbacks = try await net.callbacks()
            if answer.status == 200 {
                acknowledged += 1
                #expect(callbacks.count == 1, "\(file)")
                #expect(callbacks.first?.action == action.callback.rawValue, "\(file)")
            } else {
                #expect(answer.status == 400, "\(file)")
                #expect(answer.body["error"]?["paths"]?.string?.hasPrefix("$.message") == true)
                #expect(callbacks.isEmpty, "\(file)")
            }
        }
        #expect(acknowledged * 10 >= Self.requests.count * 9)
    }

    @Test func `of the UEI guide find our plug as their own`() async throws {
        guard let bytes = Cases.read("beckn/v1.1/search/uei-guide--L0134.json") else { return }
        let intent = try SearchIntent(
            of: try JSONValue(parsing: bytes), settings: Sample.settings())
        #expect(intent.near == GeoPoint(latitude: 12.423423, longitude: 77.325647))
        #expect(intent.radiusMetres == 5000)
        #expect(intent.standards == ["IEC_62196_T2_COMBO"])
    }
}
