/// What a database call can fail with. The cases say what the caller can do.
package enum SQLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The disk, or the size allowed to the database, is full. Free some; nothing was stored.
    case full
    /// Somebody else holds the database, or too many calls wait for it. Trying again may help.
    case busy
    /// The file is damaged or no database. Set it aside; a person must look.
    case corrupt(String)
    /// The disk failed. After a failed sync nothing written since the last commit can be trusted.
    case disk(String)
    /// The disk does not give a part of the file back. Once, that may pass; a file that cannot be opened
    /// for it is damaged, and another one may be read and written.
    case unreadable(String)
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
    /// The database's server cannot be reached, or went away in the middle: nothing was stored.
    case unreachable(String)
    /// The database's server does not let us do it: user, password, rights, certificate.
    case denied(String)
    /// A value that the engine cannot hold. Trying again will not help.
    case unstorable(String)
    /// Wrong SQL: a programmer's mistake.
    case statement(String)
    case closed

    package enum Constraint: Hashable, Sendable {
        case unique, foreignKey, notNull, check, other
    }

    /// What happened and what to do about it, for whoever runs the program.
    package var description: String {
        switch self {
        case .full: "the disk, or the size allowed to the database, is full; free some"
        case .busy: "another program holds the database; stop it, or try again"
        case .corrupt(let what): "damaged, or no database (\(what)); set it aside, restore a backup"
        case .disk(let what): "the disk fails (\(what)); look at it and at the folder's owner"
        case .unreadable(let what):
            "the disk does not give it back (\(what)); try again, look at the disk"
        case .constraint(_, let what): "what was to be stored contradicts what is there (\(what))"
        case .mismatch(let what): "holds something else than this program stored (\(what))"
        case .tooLarge(let what): "too large (\(what))"
        case .newerDatabase(let number):
            "a newer program has been here (step \(number) of its schema); install that one"
        case .changedMigration(let number):
            "another program's database (step \(number) of its schema differs); check the path"
        case .notAllowed(let what): "may not be opened or written (\(what)); check owner and mode"
        case .unreachable(let what): "the database's server is out of reach (\(what)); start it"
        case .denied(let what): "refused by its server (\(what)); check user, password and rights"
        case .unstorable(let what): "cannot be stored (\(what)); leave it out"
        case .statement(let what): "a mistake of this program, please report it: \(what)"
        case .closed: "is closed"
        }
    }
}
