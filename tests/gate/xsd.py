"""As much of XML Schema as junit-10.xsd uses: elements, references, sequences, choices, attributes, patterns.

Anything else in a schema is refused, so that nothing is passed because it was not understood.
"""

import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

XS = "{http://www.w3.org/2001/XMLSchema}"
TEXT = "xs:string"


class Schema:
    def __init__(self, file: Path) -> None:
        root = ElementTree.parse(file).getroot()
        assert {child.tag for child in root} <= {f"{XS}element", f"{XS}complexType", f"{XS}simpleType"}
        self.elements = {e.get("name", ""): e for e in root.findall(f"{XS}element")}
        self.complex = {e.get("name", ""): e for e in root.findall(f"{XS}complexType")}
        self.patterns = {
            e.get("name", ""): re.compile(e.find(f"{XS}restriction/{XS}pattern").get("value", ""))  # type: ignore[union-attr]
            for e in root.findall(f"{XS}simpleType")
        }

    def problems(self, text: str) -> list[str]:
        """What is wrong with a document; nothing where it is valid."""
        root = ElementTree.fromstring(text)
        if root.tag not in self.elements:
            return [f"<{root.tag}> is no element of the schema"]
        return self._element(root, self.elements[root.tag], root.tag)

    def _element(self, node: Element, declared: Element, path: str) -> list[str]:
        if declared.get("ref"):
            declared = self.elements[declared.get("ref", "")]
        if declared.get("type") == TEXT:
            return [f"{path}: is text alone"] if len(node) or node.attrib else []
        form = declared.find(f"{XS}complexType")
        if form is None:
            form = self.complex[declared.get("type", "")]
        found = self._attributes(node, form, path)
        models = [part for part in form if part.tag in (f"{XS}sequence", f"{XS}choice")]
        assert len(models) <= 1
        within: dict[str, Element] = {}
        expression = "".join(_expression(model, within) for model in models)
        names = "".join(f"{child.tag} " for child in node)
        if not re.fullmatch(expression, names):
            found.append(f"{path}: holds {names or 'nothing'}, which is not {expression or 'nothing'}")
        if form.get("mixed") != "true" and any(
            (text or "").strip() for text in (node.text, *(c.tail for c in node))
        ):
            found.append(f"{path}: holds text")
        for child in node:
            if child.tag in within:
                found += self._element(child, within[child.tag], f"{path}/{child.tag}")
        return found

    def _attributes(self, node: Element, form: Element, path: str) -> list[str]:
        known = {a.get("name", ""): a for a in form.findall(f"{XS}attribute")}
        found = [f"{path}: has no attribute {name}" for name in sorted(node.attrib.keys() - known.keys())]
        for name, attribute in known.items():
            value, type_ = node.get(name), attribute.get("type", "")
            assert type_ == TEXT or type_ in self.patterns, type_
            if value is None:
                found += [f"{path}: must have {name}"] if attribute.get("use") == "required" else []
            elif type_ != TEXT and not self.patterns[type_].fullmatch(value):
                found.append(f"{path}: {name} {value!r} does not fit {type_}")
        return found


def _expression(part: Element, within: dict[str, Element]) -> str:
    """A content model as a regular expression over the names of children, each with a blank behind it."""
    least, most = part.get("minOccurs", "1"), part.get("maxOccurs", "1")
    occurs = f"{{{least},{'' if most == 'unbounded' else most}}}"
    if part.tag == f"{XS}element":
        name = part.get("ref") or part.get("name") or ""
        within[name] = part
        return f"(?:{re.escape(name)} ){occurs}"
    assert part.tag in (f"{XS}sequence", f"{XS}choice"), part.tag
    joined = ("|" if part.tag == f"{XS}choice" else "").join(_expression(inner, within) for inner in part)
    return f"(?:{joined}){occurs}"
