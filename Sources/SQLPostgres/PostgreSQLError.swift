import SQL

/// SQLSTATE, by its class or whole. PostgreSQL 15, Appendix A.
enum PostgreSQLError {
    static func error(code: String, _ message: String) -> SQLError {
        switch code {
        case "23505", "23P01": .constraint(.unique, message)
        case "23503": .constraint(.foreignKey, message)
        case "23502": .constraint(.notNull, message)
        case "23514": .constraint(.check, message)
        case "53100": .full
        // Too many connections, a lock that did not come, a statement that took too long.
        case "53300", "55P03", "57014", "40001", "40P01", "25P03": .busy
        case "53400", "54000", "22001": .tooLarge(message)
        // The server ends, crashed, or starts.
        case "57P01", "57P02", "57P03", "57P05", "": .unreachable(message)
        // No such database or user, a wrong password, a right that is missing, a standby server.
        case "3D000", "42501", "25006", "0LP01": .denied(message)
        case "22P05", "22021": .unstorable(message)
        default: byClass(code.prefix(2), message)
        }
    }

    private static func byClass(_ letters: Substring, _ message: String) -> SQLError {
        switch letters {
        case "08": .unreachable(message)
        case "23": .constraint(.other, message)
        case "28": .denied(message)
        case "58": .disk(message)
        case "XX": .corrupt(message)
        case "22": .mismatch(message)
        default: .statement(message)
        }
    }
}
