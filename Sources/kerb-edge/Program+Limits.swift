import Service

// Orders are read here before the agent is asked: a slip of the hand needs no running agent to be told.
extension Program {
    static func limitWords(_ invocation: CommandTable.Invocation) throws -> String {
        let words = words(invocation, "--seconds")
        _ = try read { () throws(Mistake) in try LimitOrder(words) }
        return (["limit"] + words).joined(separator: " ")
    }

    static func tokenWords(_ invocation: CommandTable.Invocation) throws -> String {
        let words = words(invocation, "--connector")
        _ = try read { () throws(Mistake) in try TokenOrder(words) }
        return words.joined(separator: " ")
    }

    private static func words(
        _ invocation: CommandTable.Invocation, _ flag: String
    ) -> [String] {
        [invocation.arguments[0]] + [invocation.value(flag)].compactMap(\.self)
    }

    private static func read<Order>(
        _ body: () throws(Mistake) -> Order
    ) throws(Failure) -> Order {
        do { return try body() } catch {
            throw Failure(code: .usage, text: error.description)
        }
    }
}
