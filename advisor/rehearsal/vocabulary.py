"""The hand-written words that the rehearsal corpus is made of, grouped by what they can do."""


def items(text: str) -> tuple[str, ...]:
    """Return the words and phrases of a comma-separated list."""
    return tuple(" ".join(item.split()) for item in text.split(","))


WOMEN = items("""Mira, Anna, Lena, Clara, Nora, Ella, Ruth, Ida, Vera, Greta, Olive, Hazel, Tilda,
    Maya, Leonie, Edith, June, Rosa, Wanda, Zoe, Heidi, Flora, Amelie, Zoé, Käthe, Marlène""")
MEN = items("""Tom, Ben, Paul, Otto, Hugo, Karl, Simon, Victor, Emil, Leo, Martin, Felix, Oscar,
    Noel, Ivan, Peter, Adam, Walter, Theo, Jakob, Rolf, Günther, André, Jörg, Ned, Milo""")
TOWN_HEADS = items(
    "Brim, Alder, Win, Stone, Oak, Raven, Mill, Fern, Gray, Hol, Lin, Ash, Thorn, Wes"
)
TOWN_TAILS = items(
    "ford, ton, bridge, field, haven, wick, dale, bury, mouth, well, ham, stead, moor"
)

ROLES = items("""farmer, teacher, baker, nurse, pilot, painter, sailor, doctor, gardener, carpenter,
    singer, driver, student, librarian, engineer, tailor, cook, clerk, judge, miller, musician,
    fisher, hunter, guard, merchant, shepherd, writer, builder, photographer, mechanic, dancer,
    postman, waiter, scientist, programmer, potter, neighbour, king, queen, child, girl, boy""")
KIN = items("""mother, father, sister, brother, aunt, uncle, grandmother, grandfather, cousin,
    daughter, son, friend""")
ANIMALS = items("""dog, cat, horse, cow, goat, sheep, fox, wolf, bear, owl, crow, duck, goose, hen,
    rabbit, mouse, frog, snake, deer, donkey, pig, squirrel, hedgehog, otter, beaver, eagle, swan,
    turtle, lizard, badger, pony, parrot, seal, kitten, puppy, lamb""")

NOUNS: dict[str, tuple[str, ...]] = {
    "thing": items("""basket, lamp, rope, hammer, bucket, mirror, clock, bottle, blanket, candle,
        coin, key, ladder, broom, pillow, umbrella, bag, cup, plate, knife, spoon, needle, button,
        brush, ball, kite, doll, whistle, bell, ring, stone, feather, shell, camera, radio, torch,
        compass, axe, saw, tool, toy, jar, pot, vase, statue, stick, leaf, photograph, watch"""),
    "text": items("""book, letter, map, note, story, poem, newspaper, list, report, message, recipe,
        diary, sign, postcard, contract, article, invitation"""),
    "container": items("door, gate, window, box, drawer, chest, cupboard, suitcase, parcel, shed"),
    "building": items("""house, bridge, wall, boat, barn, tower, fence, hut, cabin, table, chair,
        bench, shelf, raft, nest, oven, chimney, roof, staircase, well"""),
    "vehicle": items("car, bus, truck, bicycle, tractor, van, cart, tram, train, wagon"),
    "clothes": items("""coat, hat, scarf, shirt, dress, jacket, apron, cap, belt, skirt, sweater,
        cloak, uniform, glove, boot"""),
    "plant": items("""tree, rose, flower, bush, vine, apple tree, tulip, sunflower, herb, fern,
        pumpkin, bean, cabbage, onion, carrot"""),
    "food": items("""apple, pear, plum, cherry, orange, lemon, egg, cake, pie, sandwich, sausage,
        potato, tomato, biscuit, pancake, loaf, peach, nut, mushroom, dumpling, pretzel, melon"""),
    "instrument": items("flute, drum, piano, guitar, violin, trumpet, harp, accordion, organ"),
    "idea": items("""plan, question, answer, problem, secret, dream, song, rule, lesson, mistake,
        game, idea, word, number, name, riddle, joke, promise"""),
    "place": items("""market, school, library, station, harbour, park, forest, village, garden,
        kitchen, office, hospital, museum, river, lake, beach, castle, farm, mill, church, theatre,
        bakery, workshop, valley, hill, cave, island, square, field, cellar, attic, shop, bank,
        hotel, airport, meadow, factory, tavern, stable, bridge, playground, mountain"""),
}
MASS = items("""water, milk, tea, coffee, soup, juice, bread, butter, cheese, rice, honey, salt,
    sugar, flour, wood, sand, snow, paper, wool, gold, silver, iron, glass, paint, oil, rain""")
DRINKS = items("water, milk, tea, coffee, soup, juice, cocoa, lemonade")
MATERIALS = items("wood, iron, glass, clay, stone, silver, leather, paper, wool, copper, brass")

COLOURS = items("red, blue, green, yellow, white, black, brown, grey, orange, purple, pink, golden")
SIZES = items("small, big, tiny, huge, long, short, heavy, light, wide, narrow, round, thin")
STATES = items("""old, new, broken, clean, dirty, wet, dry, empty, beautiful, plain, strange,
    useful, cheap, expensive, rusty, smooth, soft, warm, cold, dusty, shiny, simple, fine""")
CHARACTERS = items("""kind, brave, clever, lazy, honest, patient, shy, proud, friendly, quiet,
    curious, careful, greedy, wise, cheerful, stubborn, polite, generous, young, old, tall""")
FEELINGS = items("""happy, sad, tired, hungry, angry, afraid, surprised, proud, thirsty, lonely,
    excited, worried, bored, calm, nervous, grateful, sleepy, busy, ready, late""")
PLACE_STATES = items("""quiet, crowded, dark, large, small, old, famous, empty, peaceful, cold,
    sunny, narrow, distant, beautiful, noisy, busy, lovely, hidden""")
OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("long", "short"), ("old", "new"), ("dark", "bright"),
    ("wet", "dry"), ("fast", "slow"), ("heavy", "light"), ("full", "empty"), ("hard", "soft"),
    ("high", "low"), ("rich", "poor"), ("early", "late"), ("open", "closed"), ("clean", "dirty"),
    ("happy", "sad"), ("strong", "weak"), ("wide", "narrow"), ("loud", "quiet"), ("thick", "thin"),
    ("near", "far"), ("sweet", "bitter"), ("cheap", "expensive"), ("easy", "difficult"),
)  # fmt: skip

# Each frame: verbs that take an object of one of the noun groups.
OBJECT_FRAMES = (
    (
        items("""carry, find, clean, paint, hide, lose, drop, buy, sell, break, repair, borrow,
        keep, lift, throw, wash, hold, want, need, see, take, choose, like"""),
        "thing",
    ),
    (items("read, write, copy, study, understand, finish, sign, print, fold, tear"), "text"),
    (items("open, close, lock, paint, repair, check, push"), "container"),
    (items("build, repair, paint, clean, measure, draw, design, admire"), "building"),
    (items("drive, stop, park, wash, buy, hear, miss, load"), "vehicle"),
    (items("wear, sew, wash, iron, mend, lose, buy, fold, try on"), "clothes"),
    (items("plant, water, grow, cut, draw, notice, smell"), "plant"),
    (items("eat, cook, taste, share, buy, cut, wash, weigh, pack, bake, steal"), "food"),
    (items("play, tune, practise, hear, repair, buy"), "instrument"),
    (items("remember, forget, explain, discuss, understand, learn, hear, invent, solve"), "idea"),
    (items("visit, leave, reach, explore, see, remember, paint, cross, find, describe"), "place"),
)
PERSON_VERBS = items("""help, thank, visit, meet, call, follow, teach, greet, watch, trust, miss,
    invite, warn, find, know, surprise, remember, ask, answer, forgive, like, love""")
GIVE_VERBS = items("give, show, send, bring, offer, hand, lend, sell, promise")
MOVE_VERBS = items("walk, run, go, return, travel, hurry, drive, ride, come, march, sail, move")
REST_VERBS = items("""sleep, wait, sing, laugh, work, rest, dance, cry, smile, think, whistle,
    dream, talk, sit, stand, play, cough, yawn, read, listen, work hard""")
ANIMAL_VERBS = items("""sleep, jump, run, hide, wait, play, eat, drink, rest, swim, climb, dig,
    listen, hunt, sit, stand still, turn around, shiver""")
CHASE_VERBS = items("chase, watch, follow, hear, smell, see, find, avoid, catch, meet, frighten")
MIND_VERBS = items("think, believe, know, hope, notice, hear, forget, guess, see, remember, fear")

IRREGULAR_VERBS = {
    base: (past, participle)
    for base, past, participle in (
        row.split()
        for row in items("""find found found, hide hid hidden, lose lost lost, buy bought bought,
    sell sold sold, break broke broken, keep kept kept, throw threw thrown, hold held held,
    see saw seen, take took taken, choose chose chosen, read read read, write wrote written,
    understand understood understood, tear tore torn, build built built, draw drew drawn,
    drive drove driven, hear heard heard, wear wore worn, sew sewed sewn, grow grew grown,
    cut cut cut, eat ate eaten, steal stole stolen, forget forgot forgotten,
    leave left left, meet met met, teach taught taught, know knew known, forgive forgave forgiven,
    give gave given, show showed shown, send sent sent, bring brought brought, lend lent lent,
    run ran run, go went gone, ride rode ridden, come came come, sleep slept slept, sing sang sung,
    think thought thought, sit sat sat, stand stood stood, swim swam swum, drink drank drunk,
    dig dug dug, say said said, tell told told, catch caught caught, make made made, get got got,
    put put put, feel felt felt, have had had, lie lay lain, begin began begun, speak spoke spoken,
    fly flew flown, fall fell fallen, win won won, spend spent spent, pay paid paid, do did done,
    become became become""")
    )
}
IRREGULAR_PLURALS = dict(
    pair.split()
    for pair in items("""child children, scarf scarves, mouse mice, sheep sheep, deer deer,
    goose geese, knife knives, leaf leaves, shelf shelves, wolf wolves, potato potatoes,
    tomato tomatoes, loaf loaves, postman postmen, man men, woman women""")
)
DOUBLING_VERBS = frozenset(
    items("forget, begin, stop, drop, cut, dig, run, put, sit, get, swim, win")
)

STATIVE_VERBS = frozenset(
    items("want, need, see, like, love, know, hear, understand, remember, forget, trust, miss")
)

MANNERS = items("""slowly, quickly, quietly, carefully, happily, proudly, in silence, with great
    care, without a word, once more, very well, as fast as possible, with a smile, at once,
    on purpose, by accident, all alone""")
PAST_TIMES = items("""yesterday, last week, in the morning, one evening, two days ago, that night,
    last winter, on Monday, on Sunday, before breakfast, after lunch, at noon, at midnight,
    many years ago, in spring, every day""")
NOW_TIMES = items("""every morning, on Fridays, in summer, today, most days, at night, every week,
    after school, now and then, on weekends, all day""")
DAYS = items("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
MONTHS = items("""January, February, March, April, May, June, July, August, September, October,
    November, December""")
WEATHER = items("""it was raining, the sun was shining, it was cold, the wind was strong, it was
    late, snow was falling, the night was dark, it was very hot, fog lay over the fields, the
    streets were empty, the moon was bright, there was no time""")
