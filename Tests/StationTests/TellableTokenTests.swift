import Charging
import HAL
import Testing

@testable import Station

@Suite struct `A token that no message can carry` {
    private static let long = String(repeating: "A", count: 21)

    @Test(arguments: ["", long])
    func `starts nothing, asked for from far away or where energy is free`(_ token: String) {
        var rules = ConnectorRules()
        rules.freeVend = .init(token: token)
        var bench = BenchBoard.ready(rules: rules)
        #expect(bench.machine.refusalOfRemoteStart(token: token) != nil)
        #expect(bench.machine.refusalOfRemoteStart(token: "TAG") == nil)
        bench.give(.remoteStart(token: token, needsAuthorization: false))
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(3_000)
        #expect(bench.starts == 0)
    }

    @Test func `is told cut where a charge ran under it`() {
        // Twenty A may be another customer's tag.
        #expect(TellableToken.cut(Self.long) == "KERB-CUT-" + String(repeating: "A", count: 11))
        #expect(TellableToken.isTellable(TellableToken.cut(Self.long)))
        #expect(TellableToken.cut(String(Self.long.dropLast())) == String(Self.long.dropLast()))
        #expect(TellableToken.isTellable(TellableToken.cut("")))
        #expect(TellableToken.cut("TAG") == "TAG")
    }
}
