"""The account view's rules: what an account has, by its stream and by lists over REST.

`keeper` is told all that happens and answers with events and with the next look; it is what an owner needs.
`view` has the public types, `snapshot` what a look brings, `flat` and `evidence` what may be concluded.

`states` is the life of a view as a table, `rows` the rules of one row (which of two is newer, what differs),
`kept` the rows with their time of arrival, `differences` compares a snapshot with them, `audit` judges what
stands, `sums` compares fills with positions, `expected` knows mutations without an answer, `schedule` says
when to look, `budget` how often that is allowed, `money` is profit and loss.
"""
