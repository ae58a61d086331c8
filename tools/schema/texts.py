"""Texts of the reference's OpenAPI that `lightkube-models` lacks: the meanings of values, and what scalars are."""

# ruff: noqa: E501

from __future__ import annotations

# What the values of an enumeration mean, as OpenAPI tells it, by the name of the type.
ENUM_MEANINGS = {
    "PersistentVolumeMode": {
        "Block": "means the volume will not be formatted with a filesystem and will remain a raw block device.",
        "Filesystem": "means the volume will be or is formatted with a filesystem.",
    },
    "PersistentVolumeClaimPhase": {
        "Bound": "used for PersistentVolumeClaims that are bound",
        "Lost": "used for PersistentVolumeClaims that lost their underlying PersistentVolume. The claim was bound to a "
        "PersistentVolume and this volume does not exist any longer and all data on it was lost.",
        "Pending": "used for PersistentVolumeClaims that are not yet bound",
    },
    "PersistentVolumeReclaimPolicy": {
        "Delete": "means the volume will be deleted from Kubernetes on release from its claim. The volume plugin must "
        "support Deletion.",
        "Recycle": "means the volume will be recycled back into the pool of unbound persistent volumes on release from "
        "its claim. The volume plugin must support Recycling.",
        "Retain": "means the volume will be left in its current phase (Released) for manual reclamation by the "
        "administrator. The default policy is Retain.",
    },
    "VolumeBindingMode": {
        "Immediate": "indicates that PersistentVolumeClaims should be immediately provisioned and bound. This is the "
        "default mode.",
        "WaitForFirstConsumer": "indicates that PersistentVolumeClaims should not be provisioned and bound until the "
        "first Pod is created that references the PeristentVolumeClaim. The volume provisioning and binding will occur "
        "during Pod scheduing.",
    },
}

# The models have no text for what is a plain value to them.
SCALAR_TEXTS = {
    "meta_v1.Time": "Time is a wrapper around time.Time which supports correct marshaling to YAML and JSON.  Wrappers are "
    "provided for many of the factory methods that the time package offers.",
    "meta_v1.MicroTime": "MicroTime is version of Time with microsecond level precision.",
    "meta_v1.FieldsV1": "FieldsV1 stores a set of fields in a data structure like a Trie, in JSON format.\n\nEach key is "
    "either a '.' representing the field itself, and will always map to an empty set, or a string representing a "
    "sub-field or item. The string will follow one of these four formats: 'f:<name>', where <name> is the name of a "
    "field in a struct, or key in a map 'v:<value>', where <value> is the exact json formatted value of a list item "
    "'i:<index>', where <index> is position of a item in a list 'k:<keys>', where <keys> is a map of  a list item's "
    "key fields to their unique values If a key maps to an empty Fields value, the field that key represents is part "
    "of the set.\n\nThe exact format is defined in sigs.k8s.io/structured-merge-diff",
    "runtime.RawExtension": "RawExtension is used to hold extensions in external versions.",
    "util_intstr.IntOrString": "IntOrString is a type that can hold an int32 or a string.  When used in JSON or YAML "
    "marshalling and unmarshalling, it produces or consumes the inner type.  This allows you to have, for example, a "
    "JSON field that can accept a name or number.",
    "resource.Quantity": "Quantity is a fixed-point representation of a number. It provides convenient "
    "marshaling/unmarshaling in JSON and YAML, in addition to String() and AsInt64() accessors.\n\nThe serialization "
    "format is:\n\n``` <quantity>        ::= <signedNumber><suffix>\n\n\t(Note that <suffix> may be empty, from the "
    '"" case in <decimalSI>.)\n\n<digit>           ::= 0 | 1 | ... | 9 <digits>          ::= <digit> | '
    "<digit><digits> <number>          ::= <digits> | <digits>.<digits> | <digits>. | .<digits> <sign>            ::= "
    '"+" | "-" <signedNumber>    ::= <number> | <sign><number> <suffix>          ::= <binarySI> | <decimalExponent> | '
    "<decimalSI> <binarySI>        ::= Ki | Mi | Gi | Ti | Pi | Ei\n\n\t(International System of units; See: "
    'http://physics.nist.gov/cuu/Units/binary.html)\n\n<decimalSI>       ::= m | "" | k | M | G | T | P | E\n\n\t(Note '
    'that 1024 = 1Ki but 1000 = 1k; I didn\'t choose the capitalization.)\n\n<decimalExponent> ::= "e" <signedNumber> '
    '| "E" <signedNumber> ```\n\nNo matter which of the three exponent forms is used, no quantity may represent a '
    "number greater than 2^63-1 in magnitude, nor may it have more than 3 decimal places. Numbers larger or more "
    "precise will be capped or rounded up. (E.g.: 0.1m will rounded up to 1m.) This may be extended in the future if "
    "we require larger or smaller quantities.\n\nWhen a Quantity is parsed from a string, it will remember the type of "
    "suffix it had, and will use the same type again when it is serialized.\n\nBefore serializing, Quantity will be put "
    'in "canonical form". This means that Exponent/suffix will be adjusted up or down (with a corresponding increase '
    "or decrease in Mantissa) such that:\n\n- No precision is lost - No fractional digits will be emitted - The exponent "
    "(or suffix) is as large as possible.\n\nThe sign will be omitted unless the number is negative.\n\nExamples:\n\n- "
    '1.5 will be serialized as "1500m" - 1.5Gi will be serialized as "1536Mi"\n\nNote that the quantity will NEVER be '
    "internally represented by a floating point number. That is the whole point of this exercise.\n\nNon-canonical "
    "values will still parse as long as they are well formed, but will be re-emitted in their canonical form. (So "
    "always use canonical form, or don't diff.)\n\nThis format is intended to make it difficult to use these numbers "
    "without writing some sort of special handling code in the hopes that that will cause implementors to also use a "
    "fixed point implementation.",
}
