"""The vault: a folder of dotenv files that hold the credentials, plain or encrypted with age, named by reference.

A reference names a file and a key in it: `occ/chatwoot/database_url.env#DATABASE_URL`. References and fingerprints
may be shown to anyone; values leave this package only towards Fly, towards the server that they open, and into the
vault's own files. One command shows them, and says so in its name: `hotdash vault decrypt-to-stdout`.

reference    what may be shown of a value: where it lies, and its fingerprint
dotenv       text in, values out; and one value changed in a text that else stays as it is. No I/O
age          who can decrypt; encrypting and decrypting, in memory
reading      Vault: values by reference, from plain files and encrypted ones
git          what git tracks of a vault

folder       the folder as it is written to: locked, whole files or none, never through a link
recipients   .age-recipients: for whom the vault is encrypted
storing      one value set, in whichever of the two kinds of file it lies
sealing      plain files encrypted, encrypted ones encrypted anew
beginning    a new vault, in the shape that a stack needs
checking     everything that is wrong with a vault, at once
stack_key    a stack's fingerprint key, asked of the engine

A run of the engine loads the first five alone.
"""

from hotdash.vault.git import tracked_plain_files
from hotdash.vault.reading import Vault
from hotdash.vault.reference import FINGERPRINT_HEX, Reference, fingerprint

__all__ = ["FINGERPRINT_HEX", "Reference", "Vault", "fingerprint", "tracked_plain_files"]
