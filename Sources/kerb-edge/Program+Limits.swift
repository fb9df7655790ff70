import JSON
import Service

extension Program {
    static func limitWords(_ invocation: CommandTable.Invocation) -> String {
        (["limit", invocation.arguments[0]] + [invocation.value("--seconds")].compactMap { $0 })
            .joined(separator: " ")
    }
}
