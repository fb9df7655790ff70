/// What a database call can fail with. The cases say what the caller can do.
package enum SQLError: Error, Hashable, Sendable {
    /// The disk, or the size allowed to the database, is full. Free some; nothing was stored.
    case full
    /// Somebody else holds the database, or too many calls wait for it. Trying again may help.
    case busy
    /// The file is damaged or no database. Set it aside; a person must look.
    case corrupt(String)
    /// The disk failed. After a failed sync nothing written since the last commit can be trusted.
    case disk(String)
    case constraint(Constraint, String)
    /// A column holds something else than was asked for.
    case mismatch(String)
    /// A result or a value is larger than the limit.
    case tooLarge(String)
    /// The database was migrated by a newer program: it knows migration `number`, we do not.
    case newerDatabase(number: Int)
    /// A migration that has run reads differently now.
    case changedMigration(number: Int)
    case notAllowed(String)
    /// Wrong SQL: a programmer's mistake.
    case statement(String)
    case closed

    package enum Constraint: Hashable, Sendable {
        case unique, foreignKey, notNull, check, other
    }
}
