"""Good text for more than one test."""

PROSE = (
    "The committee met on Tuesday to discuss what had happened during the long winter. "
    "Several members thought that the road outside the village should be repaired first, "
    "while others wanted to build a new school before the children grew any older.\n"
    "The meeting went on until evening. Nobody could agree, and so the chairman said that he "
    "would write down both opinions and send them to everyone who had not been able to come.\n"
    "Afterwards the old people stayed in the yard to drink tea. They spoke of the flood of "
    "thirty years ago, when nearly all of the houses by the river had been washed away.\n"
)
